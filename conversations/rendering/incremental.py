"""Render an answer while it is being written, at a cost linear in its length.

Text that later text cannot change is *finalised*: rendered once, sent once, never changed. Only the *tail*, the open
text after it, is rendered again as it grows. A long block is finalised in parts while it is still open (see
`open_blocks`), so an answer that is one list, table, code block or paragraph costs no more than one of many blocks.
"""

import re
from collections.abc import Iterable, Sequence

from conversations.rendering import continuation_marks, markdown
from conversations.rendering.block_protocol import (
    MAX_WINDOW,
    FinaliseResult,
    Fragment,
    OpenBlock,
    Shared,
    complete_lines,
    render_events,
)
from conversations.rendering.blocks import Node, Outline, events_of
from conversations.rendering.html_writer import language_of
from conversations.rendering.open_blocks import MAX_PARAGRAPH, FencedCode, List, Paragraph, RawText, Table, is_loose

_FENCE = re.compile(r"(?P<indent> {0,3})(?P<run>`{3,}|~{3,})")
# Characters without a meaning in Markdown: more of them only make their line longer.
_LITERALS = r"(?:(?!www)[^\W_]|[ ,;.!?()%+=–—’“”…-])*"
_LITERAL_LINE = re.compile(r"(?:[-*+] |[0-9]+[.)] )?(?:(?!www)[^\W\d_])" + _LITERALS)
_MORE_LITERALS = re.compile(_LITERALS)
_LINE_ENDS = tuple(f"{end}{newline}" for newline in ("\n", "") for end in ("</p>", "</li>\n</ul>", "</li>\n</ol>"))
_TARGET_ID = re.compile(r' id="[A-Za-z0-9-]+-open-[0-9]+">')
# The beginning of a line that can still become anything: "-" may begin a list item, a rule or a heading's underline.
_AMBIGUOUS_LINE = re.compile(r"[-=*_+#>|:.)0-9 \t]*+(?:[`~]{1,2}|(?:`{3}|~{3}).*)?")


class IncrementalRenderer:
    """Render an answer while it arrives. `prefix` begins every id, as in `markdown.render`.

    The page appends each fragment of `finalised` to its target, and replaces the content of the tail's container, which
    follows the answer's, with `tail_html()`. `feed` only appends; parsing happens in `finalise` and `tail_html`.

    When the answer has ended, its final HTML can still differ from the fragments: a link's reference, a footnote, or an
    item that makes its list loose may come after the text it changes, and only complete code is highlighted. `patches`
    returns the difference.
    """

    def __init__(self, prefix: str) -> None:
        self.finalised: list[Fragment] = []
        self._incoming: list[str] = []
        self._carriage_return = ""  # at the end of the text so far: it may be half of a line ending
        self._source = ""  # normalised, not finalised
        self._document = _Document(Shared(prefix))
        self._block: OpenBlock = self._document
        self._tail: str | None = ""  # None: to be rendered
        self._last_tail = ("", "")  # its source and HTML
        self._last_line_is_literal = False  # in that source

    @property
    def tail_characters(self) -> int:
        """Return how many characters are not finalised."""
        return len(self._source) + sum(map(len, self._incoming))

    def feed(self, text: str, continued_at: Iterable[int] = ()) -> None:
        """Append `text`. `continued_at` are the offsets in it at which a cut answer was continued."""
        self._incoming.append(continuation_marks.insert(text, continued_at))

    def finalise(self) -> None:
        """Add to `finalised` what later text cannot change."""
        if self._incoming:
            self._finalise(eof=False)

    def tail_html(self) -> str:
        """Return the HTML of the text that is not finalised."""
        self.finalise()
        if self._tail is None:
            extended = self._extended_tail()
            self._last_line_is_literal = bool(extended)
            self._tail = extended or self._block.tail_html(_without_unclosed_marks(self._source))
            self._last_tail = (self._source, self._tail)
        return self._tail

    def close(self) -> None:
        """Finalise all that is left. No text may be fed after this."""
        self._finalise(eof=True)
        self._tail = ""

    def _extended_tail(self) -> str:
        """Return the last tail's HTML with the new text added, or "" if that needs parsing.

        It does not if the new text only adds literal characters to a line of literal characters.
        """
        before, html = self._last_tail
        if not self._source.startswith(before):
            return ""
        line_start = before.rfind("\n") + 1
        if not self._last_line_is_literal and not _LITERAL_LINE.fullmatch(before, line_start):
            return ""
        # "www" may begin in the old text.
        if not _MORE_LITERALS.fullmatch(self._source, max(line_start, len(before) - 2)):
            return ""
        end = next((end for end in _LINE_ENDS if html.endswith(end)), "")
        if not end or html[-len(end) - 1] != before.rstrip()[-1]:
            return ""
        return html[: -len(end)] + self._source.rstrip()[len(before.rstrip()) :] + end

    def _finalise(self, *, eof: bool) -> None:
        text = self._carriage_return + "".join(self._incoming)
        self._incoming.clear()
        self._carriage_return = "\r" if text.endswith("\r") and not eof else ""
        added = markdown.normalise(text[: len(text) - len(self._carriage_return)])
        self._source += added
        self._tail = None
        needs_line_end = not isinstance(self._block, Paragraph | RawText) and len(self._source) < MAX_PARAGRAPH
        if needs_line_end and "\n" not in added and not eof:
            return
        position = 0
        while result := self._block.finalise(self._source, position, eof=eof):
            self.finalised += result.fragments
            position = result.position
            self._block = result.block or self._document
        self._source = self._source[position:]
        if position:
            self._last_tail = ("", "")


def _without_unclosed_marks(source: str) -> str:
    """Return `source` as it is shown while its last line grows.

    A last line that can still become anything is left out. A code span or bold text that has begun in it is closed, so
    that its marks do not show until they have their end.
    """
    line_start = source.rfind("\n") + 1
    line = source[line_start:]
    if _AMBIGUOUS_LINE.fullmatch(line):
        return source[:line_start]
    if source.count("```") % 2 or source.count("~~~") % 2:
        return source
    for mark in ("`", "**"):
        if line.count(mark) % 2:
            shown = line.rstrip(f"{mark} \t")
            return source[:line_start] + shown + mark * (shown.count(mark) % 2)
    return source


def assemble(fragments: Sequence[Fragment]) -> str:
    """Return the HTML of a page that has appended `fragments` in order, without the ids of their targets."""
    out: list[str] = []
    open_targets: list[tuple[str, str]] = []  # from the outermost inwards: id, and the HTML that follows its content
    for fragment in fragments:
        if fragment.target and all(target != fragment.target for target, _ in open_targets):
            # A target is empty when its fragment is appended, so it ends at the next end tag.
            html = out.pop()
            end = html.index("</", html.index(f' id="{fragment.target}">'))
            out.append(html[:end])
            open_targets.append((fragment.target, html[end:]))
        while open_targets and open_targets[-1][0] != fragment.target:
            out.append(open_targets.pop()[1])
        out.append(fragment.html)
    out += (after for _, after in reversed(open_targets))
    # This cannot match text: ">" is escaped there.
    return _TARGET_ID.sub(">", "".join(out))


class _Document:
    """The top level. A block is finalised when the next one has begun, or when it has visibly ended."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._tried = ""

    def finalise(self, source: str, position: int, *, eof: bool) -> FinaliseResult | None:
        lines, at_end = complete_lines(source, position, eof=eof)
        if not lines and len(source) - position > MAX_PARAGRAPH:
            lines = source[position:]
        is_too_long = len(source) - position > MAX_WINDOW
        if not lines or (lines == self._tried and not at_end and not is_too_long):
            return None
        self._tried = lines
        outline = Outline(lines, streaming=not at_end)
        if at_end:
            return FinaliseResult(self._fragments(outline, outline.blocks), position + len(lines), None)
        if not outline.blocks:
            return FinaliseResult([], position + len(lines), None) if len(lines) > MAX_PARAGRAPH else None
        *closed, last = outline.blocks
        if _has_ended(outline, last):
            fragments = self._fragments(outline, outline.blocks)
            return FinaliseResult(fragments, position + outline.offset(last.end), None)
        start = outline.line_start(last.start)
        fragments = self._fragments(outline, closed)
        result = self._open(outline, last, lines[start:], len(source) - position - start)
        if result:
            return FinaliseResult([*fragments, *result.fragments], position + start + result.position, result.block)
        return FinaliseResult(fragments, position + start, None) if closed else None

    def tail_html(self, source: str) -> str:
        outline = Outline(source, streaming=True)
        return render_events(self._shared, outline, events_of(outline.blocks), final=False)

    def _fragments(self, outline: Outline, blocks: list[Node]) -> list[Fragment]:
        html = render_events(self._shared, outline, events_of(blocks))
        return [Fragment("", html)] if html else []

    def _open(self, outline: Outline, block: Node, lines: str, length: int) -> FinaliseResult | None:
        """Begin to finalise `block` in parts, if its kind allows it and its length is worth it.

        `lines` are the block's complete lines; `length` counts all its characters so far. The position in the result is
        relative to `lines`.
        """
        if block.name == "CodeBlock" and (opening := _FENCE.match(lines)):
            code = FencedCode(self._shared, opening)
            return FinaliseResult([code.opening_fragment(language_of(block.value))], lines.index("\n") + 1, code)
        if block.name == "Table":
            head = "".join(lines.splitlines(keepends=True)[:2])
            table = Table(self._shared, head, block.value)
            return FinaliseResult([table.opening_fragment(outline, block)], len(head), table)
        if block.name == "List" and len(block.children) > 1:
            listing = List(self._shared, block.value, loose=is_loose(block.children[0]))
            return FinaliseResult([listing.opening_fragment()], 0, listing)
        if block.name == "Paragraph" and length > MAX_PARAGRAPH:
            paragraph = Paragraph(self._shared)
            return FinaliseResult([paragraph.opening_fragment()], 0, paragraph)
        if length > MAX_WINDOW:
            raw = RawText(self._shared)
            return FinaliseResult([*self._fragments(outline, [block]), raw.opening_fragment()], len(lines), raw)
        return None


def _has_ended(outline: Outline, block: Node) -> bool:
    if block.name in ("Heading", "Rule"):
        return True
    return block.name in ("Paragraph", "Table", "BlockQuote") and outline.is_blank_after(block.end)
