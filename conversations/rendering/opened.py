"""Blocks that are still being written and long enough to settle from inside: code, table, list, paragraph, and whatever else grows.

Each has put an empty element with an id into the page, the `target` of what it settles from then on. `settle` is given the source and
where this block's unsettled part begins in it.
"""

import re
from html import escape
from itertools import count
from typing import Final, NamedTuple, Protocol

from pyromark.event import Event

from conversations.rendering.blocks import Node, Outline
from conversations.rendering.emit import Emitter
from conversations.rendering.highlight import code_block_start
from conversations.rendering.sanitise import sanitise

# How much is parsed at once, and so the longest tail: about 5 ms of work for the densest markup.
MAX_WINDOW: Final = 16_000
# A paragraph longer than this settles by the phrase; 600 characters are the longest emphasis or link that is waited for.
MAX_PARAGRAPH: Final = 4_000
MAX_PHRASE: Final = 600

_ITEM = re.compile(r" {0,3}(?:[-+*]|[0-9]{1,9}[.)])")
# A phrase may end before a letter, which cannot begin another block: after a blank, or between two characters of a script without them.
_CUT = re.compile(
    r"(?<=\S)[ \n](?=[^\W\d_])|(?<=[\u3040-\u30ff\u3400-\u9fff])(?=[\u3040-\u30ff\u3400-\u9fff])"
)
_OPENER = re.compile(rb"(?<!\\)(?:[`\[$<]|\*(?!\s)|(?<![A-Za-z0-9])_(?!\s)|~~|\\[(\[])")
_NEW_BLOCK = re.compile(r"\n[ \t]*\n(?=\S)")


class Piece(NamedTuple):
    """HTML that never changes, to be appended to the element with the id `target`; "" is the answer's own container."""

    target: str
    html: str


class Step(NamedTuple):
    """What came of an attempt to settle: pieces, where the unsettled source begins now, and the block that is open there."""

    pieces: list[Piece]
    at: int
    block: "OpenBlock | None"


class OpenBlock(Protocol):
    """A block that settles from inside."""

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        """Settle what can be from `at` on; None if nothing can. The step's block is None once this one has ended."""

    def tail(self, source: str) -> str:
        """Return the HTML of `source`, the unsettled part, which may be empty for text that is shown as soon as it settles."""


class Ids:
    """Ids for the elements of one answer that are filled later."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._numbers = count(1)

    def next(self) -> str:
        """Return an id that is new in this answer."""
        return f"{self.prefix}-open-{next(self._numbers)}"


def window(source: str, at: int, *, final: bool) -> tuple[str, bool]:
    """Return the complete lines from `at` on, as many as are parsed at once, and whether they end the document."""
    text = source[at : at + MAX_WINDOW]
    if final and at + MAX_WINDOW >= len(source):
        return text, True
    return text[: text.rfind("\n") + 1], False


def emit(prefix: str, outline: Outline, events: list[Event], *, alignments: tuple[str, ...] = ()) -> str:
    """Return `events` of `outline` as HTML, not yet sanitised."""
    emitter = Emitter(prefix, outline.source, alignments=alignments, highlighted=False)
    emitter.write(events)
    return emitter.html()


class Fence:
    """A fenced code block: every line is appended as it arrives, and so is a line's beginning once it cannot be the closing fence."""

    def __init__(self, ids: Ids, opening: re.Match[str]) -> None:
        self._id = ids.next()
        self._indent = len(opening["indent"])
        run = opening["run"]
        self._closing = re.compile(rf" {{0,3}}{run[0]}{{{len(run)},}}[ \t]*")
        self._undecided = re.compile(rf" *{run[0]}*[ \t]*")
        self._in_line = False

    def first_piece(self, language: str) -> Piece:
        """Return the piece that puts this block into the page."""
        return Piece(
            "", sanitise(f'{code_block_start(language)}<pre><code id="{self._id}"></code></pre></figure>\n')
        )

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        out: list[str] = []
        block: Fence | None = self
        while block and at < len(source):
            end = source.find("\n", at)
            line = source[at:end] if end >= 0 else source[at:]
            if not self._in_line:
                if (end >= 0 or final) and self._closing.fullmatch(line):
                    at, block = at + len(line) + (end >= 0), None
                    break
                if end < 0 and not final and self._undecided.fullmatch(line):
                    break
            out.append(line if self._in_line else self._unindented(line))
            if end >= 0:
                out.append("\n")
            at += len(line) + (end >= 0)
            self._in_line = end < 0
        if block and final:
            block = None
        if not out and block:
            return None
        text = "".join(out)
        return Step([Piece(self._id, sanitise(escape(text, quote=False)))] if text else [], at, block)

    def tail(self, source: str) -> str:
        return ""

    def _unindented(self, line: str) -> str:
        return line[min(self._indent, len(line) - len(line.lstrip(" "))) :]


class Table:
    """A table: every complete row settles."""

    def __init__(self, ids: Ids, head: str, alignments: tuple[str, ...]) -> None:
        self._ids = ids
        self._id = ids.next()
        self._head = head
        self._alignments = alignments

    def first_piece(self, outline: Outline, table: Node) -> Piece:
        """Return the piece that puts this table's head into the page."""
        head = [table.events[0], *table.children[0].events, table.events[-1]]
        html = sanitise(emit(self._ids.prefix, outline, head))
        return Piece("", html.replace("<tbody>", f'<tbody id="{self._id}">'))

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        lines, last = window(source, at, final=final)
        if not lines:
            return Step([], at, None) if last else None
        outline = Outline(self._head + lines, streaming=not last)
        table = outline.blocks[0]
        rows = [event for row in table.children[1:] for event in row.events]
        ended = last or len(outline.blocks) > 1 or outline.is_blank_after(table.end)
        pieces = [Piece(self._id, self._rows(outline, rows))] if rows else []
        return Step(pieces, at + outline.offset(table.end) - len(self._head), None if ended else self)

    def tail(self, source: str) -> str:
        # A row that is shown apart from its table would have columns of its own; its line is soon complete.
        return ""

    def _rows(self, outline: Outline, rows: list[Event]) -> str:
        # Parsed as HTML outside a table, rows would lose their cells.
        before, after = "<table><tbody>", "</tbody></table>"
        html = sanitise(before + emit(self._ids.prefix, outline, rows, alignments=self._alignments) + after)
        return html.removeprefix(before).removesuffix(after)


class List:
    """A list: every item but the last settles. An item is loose if the list was when it first settled, or has become so since."""

    def __init__(self, ids: Ids, number: int | None) -> None:
        self._ids = ids
        self._id = ids.next()
        self._number = number
        self._count = 0
        self._loose = False

    def first_piece(self) -> Piece:
        """Return the piece that puts this list into the page."""
        if self._number is None:
            return Piece("", f'<ul id="{self._id}">\n</ul>\n')
        start = "" if self._number == 1 else f' start="{self._number}"'
        return Piece("", f'<ol{start} id="{self._id}">\n</ol>\n')

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        lines, last = window(source, at, final=final)
        if not lines:
            return Step([], at, None) if last else None
        outline, skipped, items = self._outline(lines, streaming=not last)
        listing = outline.blocks[0]
        ended = last or len(outline.blocks) > 1
        is_full = len(source) - at > MAX_WINDOW
        if not ended and not is_full:
            items.pop()
        if not items:
            return None
        self._count += len(items)
        self._loose = self._loose or any(is_loose(item) for item in items)
        pieces = [
            Piece(
                self._id,
                sanitise(emit(self._ids.prefix, outline, [event for item in items for event in item.events])),
            )
        ]
        if ended:
            return Step(pieces, at + outline.offset(listing.end) - skipped, None)
        if is_full:
            ...
        return Step(pieces, at + outline.line_start(listing.children[-1].start) - skipped, self)

    def tail(self, source: str) -> str:
        if not source.strip():
            return ""
        outline, _, items = self._outline(source, streaming=True)
        number = None if self._number is None else self._number + self._count
        events: list[Event] = [{"Start": {"List": number}}]
        events += [event for item in items for event in item.events]
        events += [{"End": {"List": number is not None}}]
        events += [event for block in outline.blocks[1:] for event in block.events]
        return sanitise(emit(self._ids.prefix, outline, events))

    def _outline(self, text: str, *, streaming: bool) -> tuple[Outline, int, list[Node]]:
        """Return the outline of `text`, how many characters were put before it, and its items without what was put there.

        Only the whole list tells whether it is loose. If it is, an item and a blank line before the rest make the parser see it.
        """
        marker = _ITEM.match(text) if self._loose else None
        before = f"{marker[0]} x\n\n" if marker else ""
        outline = Outline(before + text, streaming=streaming)
        return outline, len(before), outline.blocks[0].children[bool(before) :]


class Paragraph:
    """A long paragraph: phrases settle as they are complete, up to a blank that no emphasis, link, code or formula is open at."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._id = ids.next()

    def first_piece(self) -> Piece:
        """Return the piece that puts this paragraph into the page."""
        return Piece("", f'<p dir="auto" id="{self._id}"></p>\n')

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        lines, last = window(source, at, final=final)
        if lines:
            outline = Outline(lines, streaming=not last)
            block = outline.blocks[0]
            if last or len(outline.blocks) > 1 or outline.is_blank_after(block.end):
                if block.name != "Paragraph":
                    return Step([], at, None)
                return Step([self._piece(outline, block)], at + outline.offset(block.end), None)
        elif last:
            return Step([], at, None)
        rest = source[at + len(lines) : at + MAX_WINDOW]
        # The line that has begun may turn out to be a heading or a list.
        text = lines + rest if not lines or rest[:1].isalpha() else lines
        cut = self._cut(text)
        if cut == 0:
            return Step([], at, Plain(self._ids)) if len(text) > MAX_PARAGRAPH else None
        outline = Outline(text[:cut], streaming=True)
        blank = text[cut - 1] if text[cut - 1].isspace() else ""
        piece = self._piece(outline, outline.blocks[0])
        return Step([Piece(piece.target, piece.html + blank)], at + cut, self)

    def tail(self, source: str) -> str:
        # Shown apart from its paragraph it would stand on a line of its own; it is a phrase at most, and soon complete.
        return ""

    def _piece(self, outline: Outline, block: Node) -> Piece:
        return Piece(self._id, sanitise(emit(self._ids.prefix, outline, block.events[1:-1])))

    def _cut(self, text: str) -> int:
        """Return where the last complete phrase of `text` ends, 0 if none does."""
        outline = Outline(text, streaming=True)
        opener = outline.first_unmatched(outline.blocks[0], _OPENER)
        limit = len(text) if opener is None else outline.offset(opener)
        cut = max((match.end() for match in _CUT.finditer(text, 0, limit)), default=0)
        if cut == 0 and len(text) > MAX_PHRASE:
            cut = max((match.end() for match in _CUT.finditer(text)), default=0)
        return cut


class Plain:
    """What fits none of these and has outgrown the window: its text as it is, until a line that surely begins a new block."""

    def __init__(self, ids: Ids) -> None:
        self._id = ids.next()

    def first_piece(self) -> Piece:
        """Return the piece that puts this text into the page."""
        return Piece("", f'<p class="raw" dir="auto" id="{self._id}"></p>\n')

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        fresh = _NEW_BLOCK.search(source, at)
        end = fresh.start() if fresh else len(source) if final else at + len(source[at:].rstrip())
        if end == at and not fresh and not final:
            return None
        pieces = [Piece(self._id, sanitise(escape(source[at:end], quote=False)))] if end > at else []
        return Step(pieces, fresh.end() if fresh else end, None if fresh or final else self)

    def tail(self, source: str) -> str:
        return ""


def is_loose(item: Node) -> bool:
    """Tell whether a list's item has its text in paragraphs."""
    return item.events[1] == {"Start": "Paragraph"}
