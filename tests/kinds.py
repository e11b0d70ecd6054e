"""The kind of each test, as a marker: `make test only=unit` runs one kind. What tests record is printed at the end."""

import pytest

# Their assertions say what was found, like those of tests.
pytest.register_assert_rewrite("tests.site", "tests.screen", "tests.endpoint", "tests.faults.baseline")

KINDS = {
    "unit": "starts no site",
    "site": "starts a site or a database server",
    "faults": "breaks what running sites depend on",
    "browser": "opens pages in a browser",
    "image": "builds and runs the container image, or renders the Helm chart",
}
# Every fixture that starts a site or a server uses one of these.
STARTING = {"database_template", "postgresql_files", "redis_server"}


def pytest_configure(config: pytest.Config) -> None:
    for name, what in KINDS.items():
        config.addinivalue_line("markers", f"{name}: {what}")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(kind(item))


def kind(item: pytest.Item) -> str:
    if item.path.parent.name in ("faults", "browser"):
        return item.path.parent.name
    if {"image", "helm"} & set(item.fixturenames):
        return "image"
    return "site" if STARTING & set(item.fixturenames) else "unit"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the property `report` of passed tests: with several processes, what they print is not shown."""
    for passed in terminalreporter.getreports("passed"):
        if report := dict(passed.user_properties).get("report"):
            terminalreporter.section(passed.nodeid, sep="-")
            terminalreporter.line(report)
