"""Incremental rendering of an answer that is still being written, at a cost linear in its length.

What has *settled* is rendered once, sent once and never changes; only the open *tail* is rendered again as it
grows. Settling reaches inside a block that is still open (see `opened`), so that an answer which is one list,
table, code block or paragraph costs no more than one of many blocks.
"""

import re
from collections.abc import Iterable

from conversations.rendering import joins, markdown
from conversations.rendering.blocks import Node, Outline
from conversations.rendering.emit import language_of
from conversations.rendering.opened import MAX_PARAGRAPH, Fence, List, Paragraph, Plain, Table, is_loose
from conversations.rendering.pieces import MAX_WINDOW, Ids, OpenBlock, Piece, Step, emit, window
from conversations.rendering.sanitise import sanitise

__all__ = ["Piece", "Settler", "assemble"]

_FENCE = re.compile(r"(?P<indent> {0,3})(?P<run>`{3,}|~{3,})")
# Words that mean nothing but themselves, after the mark of an item perhaps: more of them only make their line longer.
_PLAIN_WORDS = r"(?:(?!www)[^\W_]|[ ,;.!?()%+=–—’“”…-])*"
_PLAIN_LINE = re.compile(r"(?:[-*+] |[0-9]+[.)] )?(?:(?!www)[^\W\d_])" + _PLAIN_WORDS)
_MORE_PLAIN_WORDS = re.compile(_PLAIN_WORDS)
_LINE_ENDS = tuple(f"{end}{newline}" for newline in ("\n", "") for end in ("</p>", "</li>\n</ul>", "</li>\n</ol>"))
_TARGET_ID = re.compile(r' id="[A-Za-z0-9-]+-open-[0-9]+">')
# A line of which only this much has come may yet become anything: "-" an item, a rule, a heading's underline.
_UNDECIDED_LINE = re.compile(r"[-=*_+#>|:.)0-9 \t]*+(?:[`~]{1,2}|(?:`{3}|~{3}).*)?")


class Settler:
    """Render an answer while it arrives. `prefix` begins every id, as for `markdown.render`.

    The page appends each settled piece's HTML to the element whose id is its target ("" is the answer's
    container), and replaces the content of a tail container, which follows the answer's container, by
    `tail_html()`. Text is looked at only when somebody asks: `feed` costs an append.

    Later text may still change what has settled: a link's reference, a footnote, an item that turns its list
    loose; and code is highlighted only at the end. So `finish` returns the whole answer as `markdown.render`
    gives it, and `differs` tells whether the page needs it.
    """

    def __init__(self, prefix: str) -> None:
        self.settled: list[Piece] = []
        self._prefix = prefix
        self._texts: list[str] = []
        self._incoming: list[str] = []
        self._held = ""
        self._source = ""  # normalised, not yet settled
        self._document: OpenBlock = _Document(Ids(prefix))
        self._block = self._document
        self._tail: str | None = ""
        self._last_tail = ("", "")  # the source and its HTML
        self._last_line_is_plain = False  # of that source

    @property
    def text(self) -> str:
        """All that was fed."""
        self._texts = ["".join(self._texts)]
        return self._texts[0]

    @property
    def tail_characters(self) -> int:
        """How much has not settled."""
        return len(self._source) + sum(map(len, self._incoming))

    def feed(self, text: str, joined_at: Iterable[int] = ()) -> None:
        """Append `text` to the source; `joined_at` are the offsets at which it went on after a cut."""
        text = joins.mark(text, joined_at)
        self._texts.append(text)
        self._incoming.append(text)

    def advance(self) -> None:
        """Settle what can be settled of the text fed so far; `settled` may grow."""
        if self._incoming:
            self._settle(final=False)

    def tail_html(self) -> str:
        """Return the HTML of what has not settled."""
        self.advance()
        if self._tail is None:
            longer = self._longer()
            self._last_line_is_plain = bool(longer)
            self._tail = longer or self._block.tail(_presentable(self._source))
            self._last_tail = (self._source, self._tail)
        return self._tail

    def close(self) -> None:
        """Settle all that is left, so that the tail is empty. Nothing can be fed after this."""
        self._settle(final=True)
        self._tail = ""

    def finish(self) -> str:
        """Close, and return the whole answer as `markdown.render` does."""
        self.close()
        return markdown.render(self.text, prefix=self._prefix)

    def differs(self, html: str) -> bool:
        """Tell, once closed, whether the settled pieces make up other than `html`, the whole answer rendered."""
        return assemble(self.settled) != html

    def _longer(self) -> str:
        """Return the HTML of the tail if it is the last one with more plain words in its last line; else ""."""
        before, html = self._last_tail
        if not self._source.startswith(before):
            return ""
        at = before.rfind("\n") + 1
        if not self._last_line_is_plain and not _PLAIN_LINE.fullmatch(before, at):
            return ""
        if not _MORE_PLAIN_WORDS.fullmatch(self._source, max(at, len(before) - 2)):  # "www" may have begun before
            return ""
        end = next((end for end in _LINE_ENDS if html.endswith(end)), "")
        if not end or html[-len(end) - 1] != before.rstrip()[-1]:
            return ""
        return html[: -len(end)] + self._source.rstrip()[len(before.rstrip()) :] + end

    def _settle(self, *, final: bool) -> None:
        text = self._held + "".join(self._incoming)
        self._incoming.clear()
        # A carriage return may be the first half of a line ending.
        self._held = "\r" if text.endswith("\r") and not final else ""
        more = markdown.normalise(text[: len(text) - len(self._held)])
        self._source += more
        self._tail = None
        is_by_lines = not isinstance(self._block, Paragraph | Plain) and len(self._source) < MAX_PARAGRAPH
        if is_by_lines and "\n" not in more and not final:
            return
        at = 0
        while step := self._block.settle(self._source, at, final=final):
            self.settled += step.pieces
            at = step.at
            self._block = step.block or self._document
        self._source = self._source[at:]
        if at:
            self._last_tail = ("", "")


def _presentable(source: str) -> str:
    """Return `source` as it is best shown while its last line grows.

    Without the line if it may become anything; otherwise with the end of a code span or of bold text that has
    only begun, so that it does not stand there with its marks until the end comes.
    """
    begin = source.rfind("\n") + 1
    line = source[begin:]
    if _UNDECIDED_LINE.fullmatch(line):
        return source[:begin]
    if source.count("```") % 2 or source.count("~~~") % 2:
        return source
    for mark in ("`", "**"):
        if line.count(mark) % 2:
            shown = line.rstrip(f"{mark} \t")
            return source[:begin] + shown + mark * (shown.count(mark) % 2)
    return source


def assemble(pieces: list[Piece]) -> str:
    """Return the HTML of a page that appended `pieces` in order, without the ids of their targets."""
    out: list[str] = []
    opened: list[tuple[str, str]] = []  # each target that is open, within those before it, and what follows it
    for piece in pieces:
        if piece.target and all(target != piece.target for target, _ in opened):
            # A target is empty when its piece is appended, so it ends at the next end tag.
            html = out.pop()
            end = html.index("</", html.index(f' id="{piece.target}">'))
            out.append(html[:end])
            opened.append((piece.target, html[end:]))
        while opened and opened[-1][0] != piece.target:
            out.append(opened.pop()[1])
        out.append(piece.html)
    out += (after for _, after in reversed(opened))
    # Not found in text: there, ">" is escaped.
    return _TARGET_ID.sub(">", "".join(out))


class _Document:
    """The top level: every block settles once another has begun, or it has visibly ended."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._tried = ""

    def settle(self, source: str, at: int, *, final: bool) -> Step | None:
        lines, last = window(source, at, final=final)
        if not lines and len(source) - at > MAX_PARAGRAPH:
            lines = source[at:]
        outgrown = len(source) - at > MAX_WINDOW
        if not lines or (lines == self._tried and not last and not outgrown):
            return None
        self._tried = lines
        outline = Outline(lines, streaming=not last)
        if last:
            return Step(self._pieces(outline, outline.blocks), at + len(lines), None)
        if not outline.blocks:
            return Step([], at + len(lines), None) if len(lines) > MAX_PARAGRAPH else None
        *closed, open_block = outline.blocks
        if _has_ended(outline, open_block):
            return Step(self._pieces(outline, outline.blocks), at + outline.offset(open_block.end), None)
        begin = outline.line_start(open_block.start)
        step = self._open(outline, open_block, lines[begin:], len(source) - at - begin)
        if step:
            return Step(self._pieces(outline, closed) + step.pieces, at + begin + step.at, step.block)
        return Step(self._pieces(outline, closed), at + begin, None) if closed else None

    def tail(self, source: str) -> str:
        outline = Outline(source, streaming=True)
        return sanitise(emit(self._ids.prefix, outline, [event for block in outline.blocks for event in block.events]))

    def _pieces(self, outline: Outline, blocks: list[Node]) -> list[Piece]:
        html = sanitise(emit(self._ids.prefix, outline, [event for block in blocks for event in block.events]))
        return [Piece("", html)] if html else []

    def _open(self, outline: Outline, block: Node, lines: str, length: int) -> Step | None:
        """Begin to settle `block` from inside, if that is possible and worth it.

        `lines` are those of the block that are complete; `length` counts all its characters so far. The
        step's place is within them.
        """
        if block.name == "CodeBlock" and (opening := _FENCE.match(lines)):
            fence = Fence(self._ids, opening)
            return Step([fence.first_piece(language_of(block.value))], lines.index("\n") + 1, fence)
        if block.name == "Table":
            head = "".join(lines.splitlines(keepends=True)[:2])
            table = Table(self._ids, head, block.value)
            return Step([table.first_piece(outline, block)], len(head), table)
        if block.name == "List" and len(block.children) > 1:
            listing = List(self._ids, block.value, loose=is_loose(block.children[0]))
            return Step([listing.first_piece()], 0, listing)
        if block.name == "Paragraph" and length > MAX_PARAGRAPH:
            paragraph = Paragraph(self._ids)
            return Step([paragraph.first_piece()], 0, paragraph)
        if length > MAX_WINDOW:
            plain = Plain(self._ids)
            return Step([*self._pieces(outline, [block]), plain.first_piece()], len(lines), plain)
        return None


def _has_ended(outline: Outline, block: Node) -> bool:
    if block.name in ("Heading", "Rule"):
        return True
    return block.name in ("Paragraph", "Table", "BlockQuote") and outline.is_blank_after(block.end)
