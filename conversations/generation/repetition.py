"""Notice when a thought repeats itself.

A text is compared by sentences and lines with what came before it. It repeats itself when enough of it comes for the
third time in the same order, or a long part of it for the second time. Code, tables and lines without letters do not
count: they repeat for good reasons. The cost is linear in the length of the text.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from conversations.inference.deltas import Delta
from conversations.models import Kind

# Characters. A repeated sentence is noticed after at most 2,000, and so is a list of any length.
THIRD_TIME: Final = 400
SECOND_TIME: Final = 1_800
BATCH: Final = 200  # that are waited for
MAX_UNIT: Final = 1_000  # in which a sentence or line should end; otherwise words may repeat without any end
LOOPS: Final = 5  # how often such words must repeat

_UNIT = re.compile(r"\n|[.!?…]+[\"'”’)*_]*\s|[。！？]+[”’」』）]*")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_CODE_OR_ROW = re.compile(r"\s*\||(?: {4}|\t)(?!\s*(?:[-*+•]|\d+[.)])\s)")
_LETTER = re.compile(r"[^\W\d_]")


class RepetitionDetector:
    """Reads a thought while it grows. `found_at` is the length at which it was found to repeat itself, or None."""

    def __init__(self) -> None:
        self.found_at: int | None = None
        self._incoming: list[str] = []
        self._waiting = 0  # characters in `_incoming`
        self._rest = ""  # of which no end has come
        self._length = 0  # of the text before `_rest`
        self._starts_line = True
        self._in_code = False
        self._units: list[str] = []
        self._newest: dict[str, int] = {}  # where a unit was last
        self._count: Counter[str] = Counter()
        self._repeated = -1  # the unit that follows the one which the last unit repeats
        self._second_run = self._third_run = 0  # characters that came for at least the second and third time

    def is_found_in(self, deltas: Iterable[Delta]) -> bool:
        """Read the reasoning in `deltas`; return whether it was found to repeat itself."""
        for delta in deltas:
            if delta.kind == Kind.REASONING:
                self.feed(delta.text)
        return self.found_at is not None

    def feed(self, text: str) -> None:
        self._incoming.append(text)
        self._waiting += len(text)
        if self._waiting >= BATCH and self.found_at is None:
            self._read()

    def _read(self) -> None:
        text = self._rest + "".join(self._incoming)
        self._incoming, self._waiting = [], 0
        start = 0
        for end in _UNIT.finditer(text):
            self._add(text[start : end.end()])
            start = end.end()
        if len(text) - start > MAX_UNIT:
            self._add(text[start:])
            if not self._in_code and _loops(text[start:]):
                self._find()
            start = len(text)
        self._rest = text[start:]

    def _add(self, text: str) -> None:
        starts_line, self._starts_line = self._starts_line, text.endswith("\n")
        self._length += len(text)
        if starts_line and _FENCE.match(text):
            self._in_code = not self._in_code
        elif not self._in_code and _LETTER.search(text) and not (starts_line and _CODE_OR_ROW.match(text)):
            self._compare(" ".join(text.casefold().split()), len(text))

    def _compare(self, unit: str, length: int) -> None:
        number = len(self._units)
        if not (0 <= self._repeated < number and self._units[self._repeated] == unit):
            self._second_run = self._third_run = 0
            self._repeated = self._newest.get(unit, -1)
        if self._repeated >= 0:
            self._repeated += 1
            self._second_run += length
            self._third_run = self._third_run + length if self._count[unit] > 1 else 0
        self._units.append(unit)
        self._newest[unit] = number
        self._count[unit] += 1
        if self._third_run >= THIRD_TIME or self._second_run >= SECOND_TIME:
            self._find()

    def _find(self) -> None:
        self.found_at = self.found_at or self._length


def _loops(text: str) -> bool:
    """Return whether a text without sentences ends with the same words, several times."""
    tail = text[-20:]
    before = text.rfind(tail, 0, -1)
    words = text[before + len(tail) :] if before >= 0 else ""
    is_language = bool(_LETTER.search(words)) and (" " in words or not words.isascii())
    return is_language and text.endswith(words * LOOPS)
