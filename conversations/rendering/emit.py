"""Markdown events to HTML.

pyromark's own writer passes raw HTML through and writes inline styles, so the events are written out here.
Whatever comes from the text is escaped on its way, and the caller sanitises the result once more.
"""

import re
from collections.abc import Iterable
from html import escape, unescape
from typing import Any, Final

from pyromark.event import Event

from conversations.rendering.footnotes import Footnotes
from conversations.rendering.highlight import code_block, show_reordering
from conversations.rendering.links import bare_links, safe_url
from conversations.rendering.mathematics import Protected, to_html

# Deeper elements are left out and their text stays. Browsers stop nesting at 512 elements.
MAX_DEPTH: Final = 60
MAX_TABLE_NAME_CHARACTERS: Final = 80

_MARKS: Final = {"SoftBreak": "\n", "HardBreak": "<br>\n", "Rule": "<hr>\n"}
_STARTS: Final = {
    "Emphasis": "<em>",
    "Strong": "<strong>",
    "Strikethrough": "<del>",
    "TableRow": "<tr>",
    "HtmlBlock": '<p class="raw" dir="auto">',
}
_ENDS: Final = {
    "Emphasis": "</em>",
    "Strong": "</strong>",
    "Strikethrough": "</del>",
    "HtmlBlock": "</p>\n",
    "Paragraph": "</p>\n",
}
# The page has h1 and h2 of its own.
_HEADINGS: Final = {"H1": "h3", "H2": "h4", "H3": "h5", "H4": "h6", "H5": "h6", "H6": "h6"}
_ALIGNMENTS: Final = {
    "Left": ' class="align-left"',
    "Center": ' class="align-center"',
    "Right": ' class="align-right"',
}
_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^>]*>")


class Emitter:
    """Write the events of one document, or of a part of it, as HTML.

    `prefix` begins every id. `containers` says how many list items and quotations the events already stand
    in; `alignments` holds the alignment of each column if they are rows of a table. `highlighted` is False
    while code is still being written.

    `dir="auto"` reads only text outside descendants that have a `dir` of their own. So the outermost block
    carries it, and what stands in it (a paragraph of a list item or quotation, a cell) does not: the style
    sheet gives those `unicode-bidi: plaintext`.
    """

    def __init__(
        self,
        prefix: str,
        source: Protected,
        *,
        containers: int = 0,
        alignments: tuple[str, ...] = (),
        highlighted: bool = True,
    ) -> None:
        self._source = source
        self._containers = containers
        self._alignments = alignments
        self._highlighted = highlighted
        self._out: list[str] = []
        self._set_aside: list[tuple[str, list[str]]] = []  # footnotes being written: label, and the text around
        self._depth = 0
        self._footnotes = Footnotes(prefix)
        self._link_ends: list[str] = []
        self._image: list[str] = []  # the alternative text of the image we are in
        self._image_depth = 0  # how many elements we are in, the image among them; 0 outside
        self._image_url = ""
        self._code: list[str] | None = None
        self._language = ""
        self._column = 0
        self._cell = "td"
        self._head_at = 0

    def write(self, events: Iterable[Event]) -> None:
        """Write `events`, in which every start has its end."""
        for event in events:
            if isinstance(event, str):
                (self._image if self._image_depth else self._out).append(_MARKS[event])
                continue
            ((kind, value),) = event.items()
            if self._image_depth:
                self._write_in_image(kind, value)
            elif kind == "Text":
                self._text(value)
            elif kind == "Start":
                self._depth += 1
                if self._depth <= MAX_DEPTH:
                    self._start(*_named(value))
            elif kind == "End":
                self._depth -= 1
                if self._depth < MAX_DEPTH:
                    self._end(*_named(value))
            else:
                self._leaf(kind, value)

    def html(self) -> str:
        """Return what has been written, with its footnotes at the end."""
        return "".join(self._out) + self._footnotes.section()

    def _start(self, name: str, value: Any) -> None:
        match name:
            case "Paragraph":
                self._out.append("<p>" if self._containers else '<p dir="auto">')
            case "Heading":
                self._out.append(f'<{_HEADINGS[value["level"]]} dir="auto">')
            case "List":
                start = "" if value == 1 else f' start="{value}"'
                self._out.append("<ul>\n" if value is None else f"<ol{start}>\n")
            case "Item":
                self._containers += 1
                self._out.append('<li dir="auto">')
            case "BlockQuote":
                self._containers += 1
                self._out.append(_quotation(value))
            case "CodeBlock":
                self._code = []
                self._language = language_of(value)
            case "Link":
                self._start_link(value)
            case "Image":
                self._image, self._image_depth, self._image_url = [], 1, value["dest_url"]
            case "Table":
                self._alignments = value
            case "TableHead":
                self._cell, self._head_at = "th", len(self._out)
            case "TableCell":
                self._start_cell()
            case "FootnoteDefinition":
                self._containers += 1
                self._set_aside.append((value, self._out))
                self._out = []
            case _:
                self._out.append(_STARTS[name])

    def _end(self, name: str, value: Any) -> None:
        match name:
            case "Heading":
                self._out.append(f"</{_HEADINGS[value]}>\n")
            case "List":
                self._out.append("</ol>\n" if value else "</ul>\n")
            case "Item":
                self._containers -= 1
                self._out.append("</li>\n")
            case "BlockQuote":
                self._containers -= 1
                self._out.append("</blockquote>\n")
            case "CodeBlock":
                code = self._source.restore("".join(self._code or ()))
                self._code = None
                self._out.append(code_block(code, self._source.restore(self._language), highlighted=self._highlighted))
            case "Link":
                self._out.append(self._link_ends.pop())
            case "TableHead":
                self._end_table_head()
            case "TableCell":
                self._column += 1
                self._out.append(f"</{self._cell}>")
            case "TableRow":
                self._column = 0
                self._out.append("</tr>\n")
            case "Table":
                self._alignments = ()
                self._out.append("</tbody></table></div>\n")
            case "FootnoteDefinition":
                self._containers -= 1
                note = "".join(self._out)
                label, self._out = self._set_aside.pop()
                self._footnotes.define(label, note)
            case _:
                self._out.append(_ENDS[name])

    def _leaf(self, kind: str, value: Any) -> None:
        if kind == "InlineMath" or kind == "DisplayMath":
            self._out.append(to_html(self._source.restore(value), display=kind == "DisplayMath"))
        elif kind == "FootnoteReference":
            self._out.append(self._footnotes.refer(value))
        elif kind == "TaskListMarker":
            self._out.append(f'<input type="checkbox" disabled{" checked" if value else ""} aria-label="Task"> ')
        elif kind == "InlineHtml" and self._alignments and _BREAK_TAG.fullmatch(value):
            # A Markdown table knows no other way to break a line, and models use this one.
            self._out.append("<br>")
        else:
            text = escape(self._source.restore(value), quote=False)
            self._out.append(f"<code>{show_reordering(text)}</code>" if kind == "Code" else text)

    def _text(self, text: str) -> None:
        if self._code is not None:
            self._code.append(text)
            return
        for part in self._source.split(text):
            if isinstance(part, str):
                self._out.append(escape(part, quote=False) if self._link_ends else _with_links(part))
            else:
                self._out.append(part.html())

    def _start_link(self, link: dict[str, Any]) -> None:
        url = self._source.restore(link["dest_url"])
        href = safe_url(f"mailto:{url}" if link["link_type"] == "Email" else url)
        if href is not None:
            title = f' title="{escape(self._source.restore(link["title"]))}"' if link["title"] else ""
            bare = ' class="bare"' if link["link_type"] in ("Autolink", "Email") else ""
            self._out.append(f'<a{bare} href="{escape(href)}"{title} target="_blank">')
        self._link_ends.append("</a>" if href is not None else "")

    def _write_in_image(self, kind: str, value: Any) -> None:
        """Gather the text of an image, which may hold anything that a line may."""
        if kind == "Start":
            self._image_depth += 1
        elif kind == "End":
            self._image_depth -= 1
            if self._image_depth == 0:
                self._depth -= 1
                self._end_image(self._source.restore("".join(self._image)))
        elif kind not in ("FootnoteReference", "TaskListMarker"):
            self._image.append(value)

    def _end_image(self, text: str) -> None:
        href = safe_url(self._source.restore(self._image_url))
        label = escape(text.strip() or href or "", quote=False)
        if href is not None and not self._link_ends:  # a link cannot stand in a link
            label = f'<a class="image" href="{escape(href)}" target="_blank">{label}</a>'
        self._out.append(label)

    def _start_cell(self) -> None:
        alignment = self._alignments[self._column] if self._column < len(self._alignments) else ""
        scope = ' scope="col"' if self._cell == "th" else ""
        self._out.append(f"<{self._cell}{scope}{_ALIGNMENTS.get(alignment, '')}>")

    def _end_table_head(self) -> None:
        cells = "".join(self._out[self._head_at :])
        name = " ".join(_ANY_TAG.sub(" ", cells).split())[:MAX_TABLE_NAME_CHARACTERS]
        # The name is of escaped text, which may have been cut within an entity.
        name = escape(unescape(name))
        self._out[self._head_at :] = (
            f'<div class="table" tabindex="0" role="group" aria-label="Table: {name}"><table dir="auto">\n<thead><tr>',
            cells,
            "</tr></thead>\n<tbody>\n",
        )
        self._cell, self._column = "td", 0


def _named(tag: Any) -> tuple[str, Any]:
    """Return the name of a start or end tag, and what it carries."""
    return (tag, None) if isinstance(tag, str) else next(iter(tag.items()))


def _quotation(alert: str | None) -> str:
    if alert is None:
        return '<blockquote dir="auto">\n'
    return f'<blockquote class="alert alert-{alert.lower()}" dir="auto">\n<p class="alert-title">{alert}</p>\n'


def language_of(kind: Any) -> str:
    """Return the language that a code block's start names, or ""."""
    words = kind["Fenced"].split(None, 1) if isinstance(kind, dict) else []
    return words[0] if words else ""


def _with_links(text: str) -> str:
    out: list[str] = []
    done = 0
    for start, end, url in bare_links(text):
        href, shown = escape(safe_url(url) or ""), escape(text[start:end], quote=False)
        out += (
            escape(text[done:start], quote=False),
            f'<a class="bare" href="{href}" target="_blank">{shown}</a>',
        )
        done = end
    out.append(escape(text[done:], quote=False))
    return "".join(out)
