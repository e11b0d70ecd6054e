"""In what order the tests run, which of them run in one process, and in how many processes."""

import os
from pathlib import Path

import pytest

# Most of the time a test waits for another process, which waits for a third. Each process keeps servers of its own.
PROCESSES_PER_CORE, MAX_PROCESSES = 2, 8
# The tests that need these take long and need a browser or a database server, which takes seconds to start. They are
# split into so many groups, each for one process, and run first: at the end, a group would run alone.
GROUPS = 2


@pytest.hookimpl(optionalhook=True, tryfirst=True)  # before that of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    return min(PROCESSES_PER_CORE * (os.cpu_count() or 1), MAX_PROCESSES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by group, and mark each with its group for `--dist=loadgroup`. Other files are groups too."""
    needs = {item.path: "" for item in items}
    for item in items:
        if item.path.parent.name == "browser":
            needs[item.path] = "browser"
        elif "postgresql" in item.fixturenames:
            needs[item.path] = "postgresql"
    groups: dict[Path, str] = {}
    for need in ("browser", "postgresql"):
        files = [path for path in needs if needs[path] == need]
        groups |= {path: f"{need}-{number % GROUPS}" for number, path in enumerate(files)}
    first = sorted(set(groups.values()), key=lambda group: group.split("-")[::-1])
    place = {group: number for number, group in enumerate(first)}
    faults = len(place)  # these wait for the effects of faults
    items.sort(key=lambda item: place.get(groups.get(item.path, ""), faults + (item.path.parent.name != "faults")))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups.get(item.path, str(item.path))))
