"""What the incremental renderer and the blocks that are still open share."""

from collections.abc import Iterable
from itertools import count
from typing import Final, NamedTuple, Protocol

from pyromark.event import Event

from conversations.rendering.blocks import Outline
from conversations.rendering.html_writer import HeadingLevels, HtmlWriter
from conversations.rendering.sanitise import sanitise

# Characters parsed at once, and so the longest tail. The densest markup of this length takes about 5 ms.
MAX_WINDOW: Final = 16_000


class Fragment(NamedTuple):
    """HTML that never changes. The page appends it to the element with the id `target`, or to the answer if "".

    An element whose id is a target arrives empty, in an earlier fragment.
    """

    target: str
    html: str


class FinaliseResult(NamedTuple):
    """The new fragments, the position where the open source begins now, and the block that is open there, if any."""

    fragments: list[Fragment]
    position: int
    block: "OpenBlock | None"


class OpenBlock(Protocol):
    """A block that is finalised in parts while it is still being written."""

    def finalise(self, source: str, position: int, *, eof: bool) -> FinaliseResult | None:
        """Finalise what later text cannot change, from `position` on. Return None if that is nothing.

        The result's block is None once this block has ended. With `eof`, no text will follow.
        """

    def tail_html(self, source: str) -> str:
        """Return the HTML of `source`, the open part, or "" if it is not shown until it is final."""


class Shared:
    """What the blocks of one answer share: unique ids for targets, which begin with `prefix`, and heading levels."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.headings = HeadingLevels()  # of what is finalised
        self._numbers = count(1)

    def next_id(self) -> str:
        """Return an id that is new in this answer."""
        return f"{self.prefix}-open-{next(self._numbers)}"


def complete_lines(source: str, position: int, *, eof: bool) -> tuple[str, bool]:
    """Return the complete lines from `position` on, `MAX_WINDOW` characters at most, and whether they end the document.

    If the first line is longer than that, return its beginning.
    """
    text = source[position : position + MAX_WINDOW]
    if eof and position + MAX_WINDOW >= len(source):
        return text, True
    lines = text[: text.rfind("\n") + 1]
    return (lines or text if len(text) == MAX_WINDOW else lines), False


def render_events(shared: Shared, outline: Outline, events: Iterable[Event], *, final: bool = True) -> str:
    """Return `events` of `outline` as sanitised HTML, without highlighting. Of a tail, they are not `final`."""
    headings = shared.headings if final else shared.headings.copy()
    writer = HtmlWriter(shared.prefix, outline.source, highlighted=False, headings=headings)
    writer.write(events)
    return sanitise(writer.html())
