"""Exports while they are sent: a few of one person at a time, because each keeps messages in memory until they are."""

import threading
import weakref
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Part = TypeVar("Part", str, bytes)

MOST_EXPORTS = 3  # of one person at this process
TOO_MANY = f"You are downloading {MOST_EXPORTS} exports already. Wait until one has ended, then try again."

open_exports: Counter[int] = Counter()  # by user
_lock = threading.RLock()  # a garbage collection, in which `_release` may be called, can happen while it is held


class TooManyExports(Exception):
    """The person has `MOST_EXPORTS` open at this process."""


class ExportParts(Generic[Part]):
    """The parts of an export for the user with this id, which is open until `close` or as long as this object exists.

    Django closes a response also if it has sent nothing, but not one that an error in a middleware replaces.
    Raises `TooManyExports`.
    """

    def __init__(self, user_id: int, parts: Generator[Part, None, None]) -> None:
        with _lock:
            if open_exports[user_id] >= MOST_EXPORTS:
                raise TooManyExports
            open_exports[user_id] += 1
        self._parts: Generator[Part, None, None] = parts
        self._release: weakref.finalize[[int], ExportParts[Part]] = weakref.finalize(self, _release, user_id)

    def __iter__(self) -> Iterator[Part]:
        return self._parts

    def close(self) -> None:
        try:
            self._parts.close()
        finally:
            self._release()


def _release(user_id: int) -> None:
    with _lock:
        open_exports[user_id] -= 1
        if not open_exports[user_id]:
            del open_exports[user_id]
