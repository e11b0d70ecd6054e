"""Incremental rendering of an answer that is still being written, at a cost linear in its length.

What has *settled* is rendered once, sent once and never changes; only the open *tail* is rendered again as it grows. Settling goes
inside a block that is still open (see `opened`), so that an answer which is one list, table, code block or paragraph costs no more
than one of many blocks.
"""

import re
from typing import NamedTuple

from conversations.rendering import markdown
from conversations.rendering.opened import Blocks, OpenBlock, Piece


class Settler:
    """Render an answer while it arrives. `prefix` begins every id, as for `markdown.render`.

    The page appends each settled piece's HTML to the element with the id `target` ("" is the answer's container), and replaces the
    content of a tail container that follows the answer's container by `tail_html()`. Text is only looked at when somebody asks:
    `feed` costs an append.

    Later text may still change what has settled: a link reference, a footnote, an item that turns its list loose; and code is
    highlighted only at the end. So `finish()` returns the whole answer as `markdown.render` gives it, and `differs` tells whether
    the page needs it.
    """

    def __init__(self, prefix: str) -> None:
        self.settled: list[Piece] = []
        self._prefix = prefix
        self._texts: list[str] = []
        self._incoming: list[str] = []
        self._held = ""
        self._source = ""  # normalised, not yet settled
        self._block: OpenBlock = Blocks(prefix)
        self._tail: str | None = ""

    @property
    def text(self) -> str:
        """All that was fed."""
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""

    def feed(self, text: str) -> None:
        """Append `text` to the source."""
        self._texts.append(text)
        self._incoming.append(text)

    def advance(self) -> None:
        """Settle what can be settled of the text fed so far: `settled` may grow."""
        self._take_in()
        self._settle(final=False)

    def tail_html(self) -> str:
        """Return the HTML of what has not settled."""
        self.advance()
        if self._tail is None:
            self._tail = self._block.tail(self._source)
        return self._tail

    def finish(self) -> str:
        """Settle the rest, leaving no tail, and return the whole answer as `markdown.render` does."""
        self.close()
        return markdown.render(self.text, prefix=self._prefix)

    def close(self) -> None:
        """Settle the rest, leaving no tail. Nothing can be fed after this."""
        self._take_in(final=True)
        self._settle(final=True)

    def differs(self, html: str) -> bool:
        """Tell whether the settled pieces, put together, are other than `html`, the rendering of the whole."""
        return assemble(self.settled, self._prefix) != html

    def _take_in(self, *, final: bool = False) -> None:
        if not self._incoming and not final:
            return
        text = self._held + "".join(self._incoming)
        self._incoming.clear()
        # A carriage return may be the first half of a line ending.
        self._held = "\r" if text.endswith("\r") and not final else ""
        self._source += markdown.normalise(text[: len(text) - len(self._held)])
        self._tail = None

    def _settle(self, *, final: bool) -> None:
        if self._tail is not None and not final:
            return
        consumed = 0
        while step := self._block.settle(self._source[consumed:], final=final):
            self.settled += step.pieces
            consumed += step.consumed
            self._block = step.block
        self._source = self._source[consumed:]


def assemble(pieces: list[Piece], prefix: str) -> str:
    """Return the HTML that a page has after appending `pieces` in order, without the ids of open blocks."""
    out: list[str] = []
    end = ""
    for piece in pieces:
        if not piece.target:
            out.append(end)
            ...
    return "".join(out)
