"""Blocks that are still being written and long enough to settle from inside: code, table, list, paragraph,
and whatever else grows.

Each has put an empty element with an id into the page, the `target` of what it settles from then on. `settle`
is given the source and where this block's unsettled part begins in it.
"""

import re
from html import escape
from typing import Final

from pyromark.event import Event

from conversations.rendering.blocks import Node, Outline
from conversations.rendering.highlight import LINES, LINES_START, code_block_start, show_reordering
from conversations.rendering.pieces import MAX_WINDOW, Ids, Piece, Step, emit, window
from conversations.rendering.sanitise import sanitise

# A paragraph longer than this settles by the phrase; 600 characters are the longest emphasis or link that is
# waited for.
MAX_PARAGRAPH: Final = 4_000
MAX_PHRASE: Final = 600

_ITEM = re.compile(r" {0,3}(?:[-+*]|[0-9]{1,9}[.)])")
# A phrase may end before a letter, which cannot begin another block: after a blank, or between two characters
# of a script without them.
_CUT = re.compile(r"(?<=\S)[ \n](?=[^\W\d_])|(?<=[\u3040-\u30ff\u3400-\u9fff])(?=[\u3040-\u30ff\u3400-\u9fff])")
_OPENER = re.compile(r"(?<!\\)(?:[`\[$<]|\*(?!\s)|(?<![A-Za-z0-9])_(?!\s)|~~|\\[(\[])")
_NEW_BLOCK = re.compile(r"\n[ \t]*\n(?=\S)")


class Fence:
    """Fenced code: a line is appended as it arrives, once it cannot be the closing fence."""

    def __init__(self, ids: Ids, opening: re.Match[str]) -> None:
        self._ids = ids
        self._id = ids.next()
        self._group = ""  # the element that takes the line
        self._lines = 0
        self._indent = len(opening["indent"])
        run = opening["run"]
        self._closing = re.compile(rf" {{0,3}}{run[0]}{{{len(run)},}}[ \t]*")
        self._undecided = re.compile(rf" *+{run[0]}*+[ \t]*+")
        self._in_line = False

    def first_piece(self, language: str) -> Piece:
        """Return the piece that puts this block into the page."""
        return Piece("", sanitise(f'{code_block_start(language)}<code id="{self._id}"></code></pre></figure>\n'))

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        pieces: list[Piece] = []
        block: Fence | None = self
        while block and at < len(source):
            end = source.find("\n", at)
            line = source[at:end] if end >= 0 else source[at:]
            if not self._in_line:
                if (end >= 0 or final) and self._closing.fullmatch(line):
                    at, block = at + len(line) + (end >= 0), None
                    break
                # The parser drops spaces that end the document without a line ending.
                if end < 0 and (not line.strip(" ") if final else self._undecided.fullmatch(line)):
                    at = len(source) if final else at
                    break
            text = line if self._in_line else self._unindented(line)
            self._put(pieces, text + "\n" if end >= 0 else text)
            at += len(line) + (end >= 0)
            self._in_line = end < 0
        if block and final:
            block = None
        if not pieces and block:
            return None
        return Step(
            [Piece(target, sanitise(html) if target != self._id else html) for target, html in pieces], at, block
        )

    def _put(self, pieces: list[Piece], text: str) -> None:
        """Add `text`, a line or a part of one, to the pieces."""
        if not text:
            return
        if not self._in_line:
            if self._lines % LINES == 0:
                self._group = self._ids.next()
                pieces.append(Piece(self._id, f'{LINES_START[:-1]} id="{self._group}"></span>'))
            self._lines += 1
        html = show_reordering(escape(text, quote=False))
        if pieces and pieces[-1].target == self._group:
            html = pieces.pop().html + html
        pieces.append(Piece(self._group, html))

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
        outline = Outline(self._head + lines, streaming=False)  # a row is one line, and so is a formula in it
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
    """A list: every item but the last settles, as loose or tight as the list has been until then."""

    def __init__(self, ids: Ids, number: int | None, *, loose: bool) -> None:
        self._ids = ids
        self._id = ids.next()
        self._number = number
        self._count = 0
        self._loose = loose

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
        outgrown = len(items) == 1 and len(source) - at > MAX_WINDOW
        if not ended and not outgrown:
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
        if outgrown:
            plain = Plain(self._ids)
            return Step([*pieces, plain.first_piece()], at + len(lines), plain)
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
        """Return the outline of `text`, how many characters were put before it, and its items without what
        was put there.

        Only the whole list tells whether it is loose. If it is, an item and a blank line before the rest make
        the parser see it.
        """
        marker = _ITEM.match(text) if self._loose else None
        before = f"{marker[0]} x\n\n" if marker else ""
        outline = Outline(before + text, streaming=streaming)
        return outline, len(before), outline.blocks[0].children[bool(before) :]


class Paragraph:
    """A long paragraph: it settles up to a blank at which no emphasis, link, code or formula is open."""

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
        if cut == 0 and len(text) > MAX_PARAGRAPH:
            plain = Plain(self._ids)
            return Step([plain.first_piece()], at, plain)
        if cut == 0:
            return None
        outline = Outline(text[:cut], streaming=True)
        blank = text[cut - 1] if text[cut - 1].isspace() else ""
        piece = self._piece(outline, outline.blocks[0])
        return Step([Piece(piece.target, piece.html + blank)], at + cut, self)

    def tail(self, source: str) -> str:
        # Shown apart from its paragraph it would stand on a line of its own; it is a phrase at most, and soon
        # complete.
        return ""

    def _piece(self, outline: Outline, block: Node) -> Piece:
        return Piece(self._id, sanitise(emit(self._ids.prefix, outline, block.events[1:-1])))

    def _cut(self, text: str) -> int:
        """Return where the last complete phrase of `text` ends, 0 if none does."""
        outline = Outline(text, streaming=True)
        surest = latest = 0
        is_sure = True
        for start, end in outline.text_spans(outline.blocks[0]):
            opener = _OPENER.search(text, start, end) if is_sure else None
            if opener:
                surest = _last_cut(text, start, opener.start(), surest)
                is_sure = False
            latest = _last_cut(text, start, end, latest)
            surest = latest if is_sure else surest
        return latest if surest == 0 and len(text) > MAX_PHRASE else surest


def _last_cut(text: str, start: int, end: int, default: int) -> int:
    return max((match.end() for match in _CUT.finditer(text, start, end)), default=default)


class Plain:
    """What fits none of these and has outgrown the window: its text, until a line that surely begins a block."""

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
