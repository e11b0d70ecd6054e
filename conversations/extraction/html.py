"""Read the text of HTML. Nothing that it refers to is fetched."""

import re
from html.parser import HTMLParser
from typing import BinaryIO, Final

import nh3

from conversations.extraction import text
from conversations.extraction.output import Output
from conversations.extraction.result import LimitReached, Limits

NOTICE: Final = "Tags, scripts and styles were left out. To attach the source, rename the file to end in .txt."

_HEADINGS: Final = {f"h{level}": "#" * level + " " for level in range(1, 7)} | {"title": "# "}
_BLOCKS: Final = {
    "p",
    "div",
    "section",
    "article",
    "blockquote",
    "ul",
    "ol",
    "table",
    "pre",
    "dl",
    "dt",
    "dd",
    "figure",
}
_LINES: Final = {"br", "li", "tr", "hr"}
_CELLS: Final = {"td", "th"}
_DROPPED: Final = {"script", "style", "template", "noscript", "iframe", "object", "svg", "math", "select", "textarea"}
_SPACE: Final = re.compile(r"\s+")


def read(file: BinaryIO, output: Output, limits: Limits) -> None:
    """Add the text of `file`, with headings and lists as in Markdown, and a tab between cells."""
    source, complete = text.decoded(file, limits)
    # A real HTML parser first: what it returns is well formed, and everything else is easy to read.
    tags = {*_HEADINGS, *_BLOCKS, *_LINES, *_CELLS}
    source = nh3.clean(source, tags=tags, clean_content_tags=_DROPPED, attributes={}, link_rel=None)
    reader = _Reader()
    reader.feed(source)
    reader.close()
    output.add("".join(reader.out))
    raise LimitReached(NOTICE if complete else f"The end of this file was left out. {NOTICE}")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.out: list[str] = []
        self._line_breaks = 0  # due before the next text
        self._space = False  # so is a space
        self._in_pre = 0
        self._is_first_cell = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _CELLS:
            if not self._is_first_cell:
                self._add("\t")
            self._is_first_cell = False
            return
        self._break(1 if tag in _LINES else 2)
        self._is_first_cell |= tag == "tr"
        self._in_pre += tag == "pre"
        if tag == "li":
            self._add("- ")
        elif tag in _HEADINGS:
            self._add(_HEADINGS[tag])

    def handle_endtag(self, tag: str) -> None:
        if tag not in _CELLS:
            self._break(1 if tag in _LINES else 2)
            self._in_pre -= tag == "pre"

    def handle_data(self, data: str) -> None:
        if self._in_pre:
            self._add(data)
            return
        for index, word in enumerate(_SPACE.split(data)):
            self._space |= index > 0
            if word:
                self._add(word)

    def _break(self, number: int) -> None:
        self._line_breaks = max(self._line_breaks, number)

    def _add(self, text: str) -> None:
        if self.out and self._line_breaks:
            self.out.append("\n" * self._line_breaks)
        elif self._space and self.out and not self.out[-1].endswith((" ", "\t", "\n")):
            self.out.append(" ")
        self._line_breaks, self._space = 0, False
        self.out.append(text)
