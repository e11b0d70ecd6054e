"""The lock by which a process that starts knows whether others serve the same SQLite database."""

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from conversations.generation.liveness import ProcessLock


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], tuple[ProcessLock, bool]]]:
    """Return what a process does at its start: its lock, and whether it is alone."""
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", tmp_path / "db.sqlite3")
    locks: list[ProcessLock] = []

    def start() -> tuple[ProcessLock, bool]:
        locks.append(ProcessLock())
        return locks[-1], locks[-1].acquire()

    yield start
    for lock in locks:
        lock.release()


def test_a_process_that_starts_is_alone_only_after_all_others_have_ended(start):
    first, is_alone = start()
    assert is_alone
    second, is_alone = start()
    assert not is_alone
    first.release()
    third, is_alone = start()
    assert not is_alone  # the second one still serves
    second.release()
    third.release()
    _, is_alone = start()
    assert is_alone


def test_a_lock_that_another_process_holds_alone_is_shared_as_soon_as_that_ends(start, tmp_path: Path):
    with (tmp_path / "db.sqlite3.lock").open("w") as earlier_version:
        fcntl.flock(earlier_version, fcntl.LOCK_EX)
        lock, is_alone = start()
        assert not is_alone
    lock.share()
    _, is_alone = start()
    assert not is_alone
