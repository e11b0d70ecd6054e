"""What docs/requirements.md names exists."""

import re

from tests.site import ROOT

DOCUMENT = (ROOT / "docs/requirements.md").read_text()
ROWS = re.findall(r"^\| (?!statement|---)(.+?) \| (.*?) \| (.*?) \|$", DOCUMENT, re.M)
FOLDERS = ("", "conversations")


def test_every_statement_names_where_it_is_met_and_a_test():
    assert len(ROWS) > 40
    assert not [statement for statement, place, test in ROWS if "`" not in place or "`" not in test]


def test_the_files_that_are_named_exist():
    named = {path for _, place, _ in ROWS for path in re.findall(r"`([\w./-]*/[\w./-]*)`", place)}
    assert len(named) > 10
    assert not {path for path in named if not any((ROOT / folder / path).exists() for folder in FOLDERS)}


def test_the_tests_that_are_named_exist():
    module = ""
    for _, _, tests in ROWS:
        for name in re.findall(r"`([\w./]+)`", tests):
            if name.rpartition("/")[2].startswith("test_") and (ROOT / "tests" / f"{name}.py").exists():
                module = (ROOT / "tests" / f"{name}.py").read_text()
            elif name.startswith("test_"):
                assert f"def {name}(" in module, name
            else:
                assert (ROOT / "tests" / name).exists(), name
