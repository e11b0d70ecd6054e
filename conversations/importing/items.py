"""Cut a JSON file into its conversations without reading all of it into memory.

Libraries that parse JSON as a stream still build each value whole, of any size. This only looks for where values begin
and end, and passes on those that are small enough to be parsed.
"""

import json
import math
import re
import time
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import IO, Any, Final

CHUNK: Final = 256 * 1024  # bytes
ITEM_BYTES: Final = 20_000_000  # of one conversation
DEPTH: Final = 100
# Of one conversation: a small file can have so many empty values that they take hundreds of megabytes when parsed.
CONTAINERS: Final = 500_000
STRINGS: Final = 2_000_000

_MARK = re.compile(rb'["\[\]{}]')
_IN_STRING = re.compile(rb'["\\]')
_BETWEEN = b" \t\r\n,"


class NotImportable(Exception):
    """A conversation, or the rest of a file, cannot be imported. The message is a sentence for the person."""


class OutOfTime(Exception):
    """The time for an import is over."""


NOT_JSON: Final = "The file is not valid JSON."
INCOMPLETE: Final = "The file ends in the middle. Perhaps it was not downloaded completely."
TOO_LARGE: Final = f"It has more than {ITEM_BYTES // 1_000_000} MB."
TOO_DEEP: Final = "Its values are nested too deeply."
TOO_MANY: Final = "It has too many values."


def check_time(deadline: float) -> None:
    """Raise `OutOfTime` after `deadline`, by the monotonic clock."""
    if time.monotonic() > deadline:
        raise OutOfTime


def read_items(file: IO[bytes], deadline: float = math.inf) -> Iterator[dict[str, Any] | NotImportable]:
    """Yield each object in a JSON array, or the only one in the file; `NotImportable` for each that is not valid.

    Raises `NotImportable` if nothing more can be read, and `OutOfTime` after `deadline`.
    """
    for item in _cut(file, deadline):
        check_time(deadline)
        if isinstance(item, NotImportable):
            yield item
            continue
        try:
            found = json.loads(item)
        except (ValueError, RecursionError):  # of UTF-8 too
            yield NotImportable(NOT_JSON)
        else:
            yield found if isinstance(found, dict) else NotImportable("It is not a conversation.")


def _cut(file: IO[bytes], deadline: float) -> Iterator[bytes | NotImportable]:
    cutter = _Cutter()
    yield from cutter.feed(file.read(len(BOM_UTF8)).removeprefix(BOM_UTF8))
    while chunk := file.read(CHUNK):
        check_time(deadline)  # a small ZIP can have gigabytes without an item
        yield from cutter.feed(chunk)
    cutter.end()


class _Cutter:
    def __init__(self) -> None:
        self._depth = 0
        self._base: int | None = None  # the depth at which items are: 1 in an array, else 0
        self._in_string = False
        self._escaped = False  # the last chunk ended with a backslash
        self._is_over = False
        self._start()

    def _start(self) -> None:
        self._item = bytearray()
        self._problem = ""
        self._containers = self._strings = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | NotImportable]:
        kept = at = 0  # where the rest of the item starts in this chunk, and where to search
        if self._escaped:
            self._escaped, at = False, 1
        while True:
            if self._in_string:
                mark = _IN_STRING.search(chunk, at)
                if mark is None:
                    break
                at = mark.end()
                if mark[0] == b'"':
                    self._in_string = False
                else:
                    at += 1
                    self._escaped = at > len(chunk)
                continue
            mark = _MARK.search(chunk, at)
            if mark is None:
                break
            if self._depth == (self._base or 0):
                self._check(chunk[at : mark.start()])
                kept = mark.start()
            at = mark.end()
            if self._open_or_close(mark[0]):
                self._keep(chunk[kept:at])
                yield NotImportable(self._problem) if self._problem else bytes(self._item)
                self._start()
        if self._base is not None and self._depth > self._base:
            self._keep(chunk[kept:])
        elif not self._in_string:
            self._check(chunk[at:])

    def _open_or_close(self, mark: bytes) -> bool:
        """Count a mark; return whether an item ends with it. Raises `NotImportable`."""
        if self._base is None:
            if mark not in b"[{":
                raise NotImportable(NOT_JSON)
            self._base = 1 if mark == b"[" else 0
            self._depth = 1
            return False
        if self._is_over:
            raise NotImportable(NOT_JSON)
        if mark == b'"':
            if self._depth <= self._base:
                raise NotImportable(NOT_JSON)
            self._in_string = True
            self._strings += 1
            return False
        if mark in b"[{":
            self._depth += 1
            self._containers += 1
            if self._depth > DEPTH:
                self._drop(TOO_DEEP)
            return False
        self._depth -= 1
        self._is_over = self._depth == 0
        return self._depth == self._base and not (self._is_over and self._base == 1)

    def _keep(self, part: bytes) -> None:
        if len(self._item) + len(part) > ITEM_BYTES:
            self._drop(TOO_LARGE)
        if self._containers > CONTAINERS or self._strings > STRINGS:
            self._drop(TOO_MANY)
        if not self._problem:
            self._item += part

    def _drop(self, problem: str) -> None:
        self._problem = self._problem or problem
        self._item.clear()

    def _check(self, between: bytes) -> None:
        if between.strip(_BETWEEN):
            raise NotImportable(NOT_JSON)

    def end(self) -> None:
        """Check that the file has ended where it may. Raises `NotImportable`."""
        if self._base is None:
            raise NotImportable("The file is empty.")
        if not self._is_over:
            raise NotImportable(INCOMPLETE)
