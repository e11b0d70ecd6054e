"""Collect a file's text, up to the limits."""

import re
import time
from typing import Final

from conversations.extraction.result import LimitReached, Limits

# Control characters except tab and line feed (PostgreSQL cannot store NUL), and characters that reorder text or, as
# Unicode's tags, hide it: people would not see what the model is sent. Marks of direction alone are harmless.
_UNWANTED: Final = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_LINE_BREAKS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return `text` with line feeds alone as line breaks and without what cannot be stored or would mislead people."""
    text = _UNWANTED.sub("", _LINE_BREAKS.sub("\n", text))
    return _LONE_SURROGATES.sub("\ufffd", text)


class Output:
    """The text of one file."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._left = limits.characters

    def add(self, text: str) -> None:
        """Append `text`, cleaned. Raises LimitReached if it does not fit, or if reading takes too long."""
        text = clean(text)
        self._parts.append(text[: self._left])
        self._left -= len(text)
        if self._left < 0:
            raise LimitReached(f"Only the first {self._limits.characters:,} characters were read.")
        if time.process_time() > self._limits.reading_seconds:
            raise LimitReached("Only the beginning was read, because reading all of this file takes too long.")

    def text(self) -> str:
        """Return what was added, without blank lines at both ends."""
        return "".join(self._parts).strip("\n")
