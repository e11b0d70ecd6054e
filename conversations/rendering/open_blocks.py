"""Blocks that are finalised in parts while they are written: code, table, list, paragraph, and any other long text.

Each first puts an empty element with an id into the page, the `target` of its further fragments. See
`block_protocol.OpenBlock` for the methods.
"""

import re
from html import escape
from typing import Final

from pyromark.event import Event

from conversations.rendering.block_protocol import (
    MAX_WINDOW,
    FinaliseResult,
    Fragment,
    Shared,
    complete_lines,
    render_events,
)
from conversations.rendering.blocks import Node, Outline, events_of
from conversations.rendering.highlight import LINE_GROUP_START, LINES_PER_GROUP, code_block_start, show_reordering
from conversations.rendering.html_writer import HtmlWriter
from conversations.rendering.sanitise import sanitise

# Characters. A longer paragraph is finalised by the phrase; an emphasis or link is waited for up to MAX_PHRASE.
MAX_PARAGRAPH: Final = 4_000
MAX_PHRASE: Final = 600

_ITEM = re.compile(r" {0,3}(?:[-+*]|[0-9]{1,9}[.)])")
# A phrase may end before a letter, which cannot begin another block: after a space, or between two characters of a
# script that has no spaces.
_PHRASE_END = re.compile(r"(?<=\S)[ \n](?=[^\W\d_])|(?<=[\u3040-\u30ff\u3400-\u9fff])(?=[\u3040-\u30ff\u3400-\u9fff])")
_OPENING_MARK = re.compile(r"(?<!\\)(?:[`\[$<]|\*(?!\s)|(?<![A-Za-z0-9])_(?!\s)|~~|\\[(\[])")
_NEW_BLOCK = re.compile(r"\n[ \t]*\n(?=\S)")


class FencedCode:
    """Fenced code: a line is appended as it arrives, once it cannot be the closing fence."""

    def __init__(self, shared: Shared, opening: re.Match[str]) -> None:
        self._shared = shared
        self._id = shared.next_id()
        self._group_id = ""  # of the element that takes the line
        self._lines = 0
        self._indent = len(opening["indent"])
        run = opening["run"]
        self._closing = re.compile(rf" {{0,3}}{run[0]}{{{len(run)},}}[ \t]*")
        self._maybe_closing = re.compile(rf" *+{run[0]}*+[ \t]*+")
        self._in_line = False

    def opening_fragment(self, language: str) -> Fragment:
        """Return the fragment that puts this block into the page."""
        return Fragment("", sanitise(f'{code_block_start(language)}<code id="{self._id}"></code></pre></figure>\n'))

    def finalise(self, source: str, position: int, *, eof: bool) -> FinaliseResult | None:
        fragments: list[Fragment] = []
        block: FencedCode | None = None if eof else self
        while position < len(source):
            end = source.find("\n", position)
            is_complete = end >= 0
            line = source[position:end] if is_complete else source[position:]
            if not self._in_line:
                if (is_complete or eof) and self._closing.fullmatch(line):
                    position, block = position + len(line) + is_complete, None
                    break
                # The parser drops spaces that end the document without a line ending.
                if not is_complete and (not line.strip(" ") if eof else self._maybe_closing.fullmatch(line)):
                    position = len(source) if eof else position
                    break
            text = line if self._in_line else self._unindented(line)
            self._append(fragments, text + "\n" if is_complete else text)
            position += len(line) + is_complete
            self._in_line = not is_complete
        if not fragments and block:
            return None
        # The element of a group has an id, which the sanitiser would drop.
        sanitised = [Fragment(target, html if target == self._id else sanitise(html)) for target, html in fragments]
        return FinaliseResult(sanitised, position, block)

    def tail_html(self, source: str) -> str:
        return ""

    def _append(self, fragments: list[Fragment], text: str) -> None:
        """Add `text`, a line or a part of one, to `fragments`."""
        if not text:
            return
        if not self._in_line:
            if self._lines % LINES_PER_GROUP == 0:
                self._group_id = self._shared.next_id()
                fragments.append(Fragment(self._id, f'{LINE_GROUP_START[:-1]} id="{self._group_id}"></span>'))
            self._lines += 1
        html = show_reordering(escape(text, quote=False))
        if fragments and fragments[-1].target == self._group_id:
            html = fragments.pop().html + html
        fragments.append(Fragment(self._group_id, html))

    def _unindented(self, line: str) -> str:
        return line[min(self._indent, len(line) - len(line.lstrip(" "))) :]


class Table:
    """A table: every complete row is finalised."""

    def __init__(self, shared: Shared, head: str, alignments: tuple[str, ...]) -> None:
        self._shared = shared
        self._id = shared.next_id()
        self._head = head
        self._alignments = alignments

    def opening_fragment(self, outline: Outline, table: Node) -> Fragment:
        """Return the fragment that puts this table's head into the page."""
        head = [table.events[0], *table.children[0].events, table.events[-1]]
        html = render_events(self._shared, outline, head)
        return Fragment("", html.replace("<tbody>", f'<tbody id="{self._id}">'))

    def finalise(self, source: str, position: int, *, eof: bool) -> FinaliseResult | None:
        lines, at_end = complete_lines(source, position, eof=eof)
        if not lines:
            return FinaliseResult([], position, None) if at_end else None
        outline = Outline(self._head + lines, streaming=False)  # a row is one line, and so is a formula in it
        table = outline.blocks[0]
        rows = events_of(table.children[1:])
        has_ended = at_end or len(outline.blocks) > 1 or outline.is_blank_after(table.end)
        fragments = [Fragment(self._id, self._rows_html(outline, rows))] if rows else []
        end = position + outline.offset(table.end) - len(self._head)
        return FinaliseResult(fragments, end, None if has_ended else self)

    def tail_html(self, source: str) -> str:
        # Outside its table, a row would have columns of its own. Its line is soon complete.
        return ""

    def _rows_html(self, outline: Outline, rows: list[Event]) -> str:
        # Parsed as HTML outside a table, rows would lose their cells.
        before, after = "<table><tbody>", "</tbody></table>"
        writer = HtmlWriter(self._shared.prefix, outline.source, alignments=self._alignments, highlighted=False)
        writer.write(rows)
        return sanitise(before + writer.html() + after).removeprefix(before).removesuffix(after)


class List:
    """A list: every item but the last is finalised, as loose or tight as the list has been until then."""

    def __init__(self, shared: Shared, number: int | None, *, loose: bool) -> None:
        self._shared = shared
        self._id = shared.next_id()
        self._number = number
        self._count = 0
        self._loose = loose

    def opening_fragment(self) -> Fragment:
        """Return the fragment that puts this list into the page."""
        if self._number is None:
            return Fragment("", f'<ul id="{self._id}">\n</ul>\n')
        start = "" if self._number == 1 else f' start="{self._number}"'
        return Fragment("", f'<ol{start} id="{self._id}">\n</ol>\n')

    def finalise(self, source: str, position: int, *, eof: bool) -> FinaliseResult | None:
        lines, at_end = complete_lines(source, position, eof=eof)
        if not lines:
            return FinaliseResult([], position, None) if at_end else None
        outline, added, items = self._outline(lines, streaming=not at_end)
        listing = outline.blocks[0]
        has_ended = at_end or len(outline.blocks) > 1
        is_too_long = len(items) == 1 and len(source) - position > MAX_WINDOW
        if not has_ended and not is_too_long:
            items.pop()
        if not items:
            return None
        self._count += len(items)
        self._loose = self._loose or any(is_loose(item) for item in items)
        fragments = [Fragment(self._id, render_events(self._shared, outline, events_of(items)))]
        if has_ended:
            return FinaliseResult(fragments, position + outline.offset(listing.end) - added, None)
        if is_too_long:
            raw = RawText(self._shared)
            return FinaliseResult([*fragments, raw.opening_fragment()], position + len(lines), raw)
        return FinaliseResult(fragments, position + outline.line_start(listing.children[-1].start) - added, self)

    def tail_html(self, source: str) -> str:
        if not source.strip():
            return ""
        outline, _, items = self._outline(source, streaming=True)
        number = None if self._number is None else self._number + self._count
        events: list[Event] = [{"Start": {"List": number}}]
        events += events_of(items)
        events += [{"End": {"List": number is not None}}]
        events += events_of(outline.blocks[1:])
        return render_events(self._shared, outline, events, final=False)

    def _outline(self, text: str, *, streaming: bool) -> tuple[Outline, int, list[Node]]:
        """Return the outline of `text`, how many characters were added before it, and its own items.

        Only the whole list tells the parser whether it is loose. If it is, an item and a blank line are added before
        the rest of it.
        """
        marker = _ITEM.match(text) if self._loose else None
        added = f"{marker[0]} x\n\n" if marker else ""
        outline = Outline(added + text, streaming=streaming)
        return outline, len(added), outline.blocks[0].children[bool(added) :]


class Paragraph:
    """A long paragraph: it is finalised up to a space where no emphasis, link, code or formula is open."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._id = shared.next_id()

    def opening_fragment(self) -> Fragment:
        """Return the fragment that puts this paragraph into the page."""
        return Fragment("", f'<p dir="auto" id="{self._id}"></p>\n')

    def finalise(self, source: str, position: int, *, eof: bool) -> FinaliseResult | None:
        lines, at_end = complete_lines(source, position, eof=eof)
        if lines:
            outline = Outline(lines, streaming=not at_end)
            block = outline.blocks[0]
            if at_end or len(outline.blocks) > 1 or outline.is_blank_after(block.end):
                if block.name != "Paragraph":
                    return FinaliseResult([], position, None)
                return FinaliseResult([self._fragment(outline)], position + outline.offset(block.end), None)
        elif at_end:
            return FinaliseResult([], position, None)
        rest = source[position + len(lines) : position + MAX_WINDOW]
        # The line that has begun may turn out to be a heading or a list.
        text = lines + rest if not lines or rest[:1].isalpha() else lines
        end = self._phrase_end(text)
        if end == 0 and len(text) > MAX_PARAGRAPH:
            raw = RawText(self._shared)
            return FinaliseResult([raw.opening_fragment()], position, raw)
        if end == 0:
            return None
        outline = Outline(text[:end], streaming=True)
        space = text[end - 1] if text[end - 1].isspace() else ""
        return FinaliseResult([self._fragment(outline, space)], position + end, self)

    def tail_html(self, source: str) -> str:
        # Outside its paragraph it would stand on a line of its own. It is a phrase at most, and soon complete.
        return ""

    def _fragment(self, outline: Outline, space: str = "") -> Fragment:
        return Fragment(self._id, render_events(self._shared, outline, outline.blocks[0].events[1:-1]) + space)

    def _phrase_end(self, text: str) -> int:
        """Return where the last complete phrase of `text` ends, 0 if none does."""
        outline = Outline(text, streaming=True)
        certain = possible = 0
        is_certain = True
        for start, end in outline.text_spans(outline.blocks[0]):
            opening = _OPENING_MARK.search(text, start, end) if is_certain else None
            if opening:
                certain = _last_phrase_end(text, start, opening.start(), certain)
                is_certain = False
            possible = _last_phrase_end(text, start, end, possible)
            certain = possible if is_certain else certain
        return possible if certain == 0 and len(text) > MAX_PHRASE else certain


def _last_phrase_end(text: str, start: int, end: int, default: int) -> int:
    return max((match.end() for match in _PHRASE_END.finditer(text, start, end)), default=default)


class RawText:
    """Text that fits none of these and is longer than `MAX_WINDOW`: shown as source until a new block surely begins."""

    def __init__(self, shared: Shared) -> None:
        self._id = shared.next_id()

    def opening_fragment(self) -> Fragment:
        """Return the fragment that puts this text into the page."""
        return Fragment("", f'<p class="raw" dir="auto" id="{self._id}"></p>\n')

    def finalise(self, source: str, position: int, *, eof: bool) -> FinaliseResult | None:
        new_block = _NEW_BLOCK.search(source, position)
        visible_end = len(source) if eof else position + len(source[position:].rstrip())
        end = new_block.start() if new_block else visible_end
        if end == position and not new_block and not eof:
            return None
        html = sanitise(escape(source[position:end], quote=False))
        fragments = [Fragment(self._id, html)] if end > position else []
        return FinaliseResult(fragments, new_block.end() if new_block else end, None if new_block or eof else self)

    def tail_html(self, source: str) -> str:
        return ""


def is_loose(item: Node) -> bool:
    """Return whether a list item has its text in paragraphs."""
    return item.events[1] == {"Start": "Paragraph"}
