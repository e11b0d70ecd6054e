"""What settling works with: pieces, blocks that are still open, ids, and the window that is looked at together."""

from itertools import count
from typing import Final, NamedTuple, Protocol

from pyromark.event import Event

from conversations.rendering.blocks import Outline
from conversations.rendering.emit import Emitter

# How much is parsed at once, and so the longest tail: about 5 ms of work for the densest markup.
MAX_WINDOW: Final = 16_000


class Piece(NamedTuple):
    """HTML that never changes, to be appended to the element with the id `target`, or to the answer if that is ""."""

    target: str
    html: str


class Step(NamedTuple):
    """What has settled: pieces, where the unsettled source begins now, and the block that is open there, if any."""

    pieces: list[Piece]
    at: int
    block: "OpenBlock | None"


class OpenBlock(Protocol):
    """A block that settles from inside."""

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        """Settle what can be from `at` on; None if nothing can. The step's block is None once this one has ended."""

    def tail(self, source: str) -> str:
        """Return the HTML of `source`, the unsettled part; "" if that is better not shown before it settles."""


class Ids:
    """Ids for the elements of one answer that are filled later."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._numbers = count(1)

    def next(self) -> str:
        """Return an id that is new in this answer."""
        return f"{self.prefix}-open-{next(self._numbers)}"


def window(source: str, at: int, *, final: bool) -> tuple[str, bool]:
    """Return the complete lines from `at` on, as many as are parsed at once, and whether they end the
    document.

    Of a line that is longer than that, its beginning.
    """
    text = source[at : at + MAX_WINDOW]
    if final and at + MAX_WINDOW >= len(source):
        return text, True
    lines = text[: text.rfind("\n") + 1]
    return (lines or text if len(text) == MAX_WINDOW else lines), False


def emit(prefix: str, outline: Outline, events: list[Event], *, alignments: tuple[str, ...] = ()) -> str:
    """Return `events` of `outline` as HTML, not yet sanitised."""
    emitter = Emitter(prefix, outline.source, alignments=alignments, highlighted=False)
    emitter.write(events)
    return emitter.html()
