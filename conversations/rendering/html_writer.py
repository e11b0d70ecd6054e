"""Write Markdown events as HTML.

pyromark's own writer passes raw HTML through and writes inline styles, so this module does it instead. All text is
escaped, and the caller sanitises the result as well.
"""

import re
from collections.abc import Iterable
from html import escape, unescape
from typing import Any, Final

from pyromark.event import Event

from conversations.rendering.blocks import unpack
from conversations.rendering.footnotes import Footnotes
from conversations.rendering.highlight import code_block, show_reordering
from conversations.rendering.links import bare_links, safe_url
from conversations.rendering.mathematics import ProtectedSource, to_html

# Elements that are nested deeper are left out; their text stays. Browsers stop nesting at 512 elements.
MAX_DEPTH: Final = 60
MAX_TABLE_NAME_CHARACTERS: Final = 80

_BREAKS: Final = {"SoftBreak": "\n", "HardBreak": "<br>\n", "Rule": "<hr>\n"}
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
_FIRST_HEADING: Final = 3  # the page has its own h1 and h2
_LAST_HEADING: Final = 6
_ALIGNMENTS: Final = {
    "Left": ' class="align-left"',
    "Center": ' class="align-center"',
    "Right": ' class="align-right"',
}
_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^>]*>")


class HeadingLevels:
    """Number the headings of one document from h3 on without gaps, whatever level it begins at and skips.

    Models begin with ``#``, ``##`` or ``###``. A level depends on earlier headings only, so it never changes.
    """

    def __init__(self, around: Iterable[int] = ()) -> None:
        self._around = list(around)  # the levels in the source of the last heading and of those that contain it

    def tag(self, level: str) -> str:
        """Return the element of the next heading, from its level in the source ("H1" to "H6")."""
        number = int(level[1:])
        self._around = [outer for outer in self._around if outer < number] + [number]
        return f"h{min(_FIRST_HEADING - 1 + len(self._around), _LAST_HEADING)}"

    def copy(self) -> "HeadingLevels":
        return HeadingLevels(self._around)


class HtmlWriter:
    """Write the events of one document, or of a part of it, as HTML.

    `prefix` begins every id. `alignments` are those of the columns if the events are rows of a table. `highlighted` is
    False while code is still being written. `headings` is shared by the parts of a document.

    `dir="auto"` ignores text in descendants that have their own `dir`. So the outermost block has it, and a block
    inside (a paragraph of a list item or quotation, a cell) does not: the style sheet gives those
    `unicode-bidi: plaintext`.
    """

    def __init__(
        self,
        prefix: str,
        source: ProtectedSource,
        *,
        alignments: tuple[str, ...] = (),
        highlighted: bool = True,
        headings: HeadingLevels | None = None,
    ) -> None:
        self._source = source
        self._containers = 0  # list items, quotations and footnotes around what is being written
        self._alignments = alignments
        self._highlighted = highlighted
        self._headings = headings or HeadingLevels()
        self._heading = ""  # the element of the open heading
        self._out: list[str] = []
        self._open_footnotes: list[tuple[str, list[str]]] = []  # label, and the output around it
        self._depth = 0
        self._footnotes = Footnotes(prefix)
        self._link_ends: list[str] = []
        self._image: list[str] = []  # the alternative text of the open image
        self._image_depth = 0  # open elements from the image inwards; 0 outside an image
        self._image_url = ""
        self._code: list[str] | None = None
        self._language = ""
        self._column = 0
        self._cell = "td"
        self._table_head = 0  # index in the output

    def write(self, events: Iterable[Event]) -> None:
        """Write `events`, in which every start tag has its end tag."""
        kind: str
        value: Any
        for event in events:
            if isinstance(event, str):
                (self._image if self._image_depth else self._out).append(_BREAKS[event])
                continue
            ((kind, value),) = event.items()
            if self._image_depth:
                self._write_in_image(kind, value)
            elif kind == "Text":
                self._text(value)
            elif kind == "Start":
                self._depth += 1
                if self._depth <= MAX_DEPTH:
                    self._start(*unpack(value))
            elif kind == "End":
                self._depth -= 1
                if self._depth < MAX_DEPTH:
                    self._end(*unpack(value))
            else:
                self._leaf(kind, value)

    def html(self) -> str:
        """Return the HTML of all events, with the footnotes at the end."""
        return "".join(self._out) + self._footnotes.section()

    def _start(self, name: str, value: Any) -> None:
        match name:
            case "Paragraph":
                self._out.append("<p>" if self._containers else '<p dir="auto">')
            case "Heading":
                self._heading = self._headings.tag(value["level"])
                self._out.append(f'<{self._heading} dir="auto">')
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
                self._cell, self._table_head = "th", len(self._out)
            case "TableCell":
                self._start_cell()
            case "FootnoteDefinition":
                self._containers += 1
                self._open_footnotes.append((value, self._out))
                self._out = []
            case _:
                self._out.append(_STARTS[name])

    def _end(self, name: str, value: Any) -> None:
        match name:
            case "Heading":
                self._out.append(f"</{self._heading}>\n")
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
                label, self._out = self._open_footnotes.pop()
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
            # Markdown has no other line break for a table cell, and models use this one.
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
        """Collect the text of an image, which can contain any inline element."""
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
        if href is not None and not self._link_ends:  # links cannot be nested
            label = f'<a class="image" href="{escape(href)}" target="_blank">{label}</a>'
        self._out.append(label)

    def _start_cell(self) -> None:
        alignment = self._alignments[self._column] if self._column < len(self._alignments) else ""
        scope = ' scope="col"' if self._cell == "th" else ""
        self._out.append(f"<{self._cell}{scope}{_ALIGNMENTS.get(alignment, '')}>")

    def _end_table_head(self) -> None:
        cells = "".join(self._out[self._table_head :])
        name = " ".join(_ANY_TAG.sub(" ", cells).split())[:MAX_TABLE_NAME_CHARACTERS]
        # The text is escaped already, and may have been cut inside an entity.
        name = escape(unescape(name))
        self._out[self._table_head :] = (
            f'<div class="table" tabindex="0" role="group" aria-label="Table: {name}"><table dir="auto">\n<thead><tr>',
            cells,
            "</tr></thead>\n<tbody>\n",
        )
        self._cell, self._column = "td", 0


def _quotation(alert: str | None) -> str:
    if alert is None:
        return '<blockquote dir="auto">\n'
    return f'<blockquote class="alert alert-{alert.lower()}" dir="auto">\n<p class="alert-title">{alert}</p>\n'


def language_of(kind: Any) -> str:
    """Return the language of a code block from the value of its start tag, or ""."""
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
