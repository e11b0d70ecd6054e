"""In what order the test files run."""

from itertools import chain, zip_longest
from pathlib import Path

import pytest

# Whose tests take long: those that wait for what they broke, and those that keep a browser busy.
LONG = ("faults", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, one kind beside the other; at the end they would keep one process alone."""
    files = dict.fromkeys(item.path for item in items)
    long = [[path for path in files if path.parent.name == folder] for folder in LONG]
    first = [path for path in chain(*zip_longest(*long)) if path]
    place: dict[Path, int] = {path: number for number, path in enumerate(dict.fromkeys([*first, *files]))}
    items.sort(key=lambda item: place[item.path])
