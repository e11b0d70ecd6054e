"""In what order the test files run, which of them run in one process, and in how many processes."""

import os
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# Most of the time a test waits for another process, which waits for a third. Each process keeps servers of its own.
PROCESSES_PER_CORE, MAX_PROCESSES = 2, 8
# The files that need a browser or PostgreSQL, which take seconds to start, take long. They are split into so many
# groups, each for one process, and run first: at the end, a group would run alone.
GROUPS = 2


@pytest.hookimpl(optionalhook=True, tryfirst=True)  # before that of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    return min(PROCESSES_PER_CORE * (os.cpu_count() or 1), MAX_PROCESSES)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the groups, then the other tests that wait for the effects of faults."""
    groups: dict[str, int] = {}
    for item in items:
        if (group := group_of(item.path)) not in groups:
            groups[group] = (not group.startswith("group")) * (1 + (item.path.parent.name != "faults"))
    items.sort(key=lambda item: groups[group_of(item.path)])


class GroupScheduling(LoadFileScheduling):
    """Gives a process all files of a group, or one other file, at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(self.config.rootpath / nodeid.partition("::")[0])


_groups: dict[Path, str] = {}
_numbers = {"browser": count(), "postgresql": count()}


def group_of(path: Path) -> str:
    """Return the name of the file's group, or its path. Files of one kind are dealt out in the order of the calls."""
    if path not in _groups:
        kind = "browser" if path.parent.name == "browser" else "postgresql" if needs_postgresql(path) else ""
        _groups[path] = f"group {next(_numbers[kind]) % GROUPS} {kind}" if kind else str(path)
    return _groups[path]


def needs_postgresql(path: Path) -> bool:
    return "mark.postgresql" in path.read_text()
