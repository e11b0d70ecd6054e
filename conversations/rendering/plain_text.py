"""Convert Markdown to plain text, for pasting where Markdown is not rendered."""

from typing import Any, Final

from django.utils.text import Truncator
from pyromark.event import Event

from conversations.rendering.blocks import PARSER, unpack
from conversations.rendering.markdown import MAX_CHARACTERS, normalise
from conversations.rendering.mathematics import protect

QUOTED: Final = 300  # characters of an answer that pages about it quote
_INDENT = "   "
_BLOCKS = ("Paragraph", "Heading", "BlockQuote", "CodeBlock", "Table", "FootnoteDefinition", "HtmlBlock", "List")


def to_plain_text(markdown: str) -> str:
    """Return `markdown` without its markup. Lists, cells, code and formulas stay as text; addresses follow links.

    Text longer than `MAX_CHARACTERS` is returned unchanged.
    """
    if len(markdown) > MAX_CHARACTERS:
        return markdown
    source = protect(normalise(markdown))
    writer = _Writer()
    for event in PARSER.events(source.text, merge_text=True):
        writer.write(event)
    return source.restore("".join(writer.out)) + "\n"


def beginning(markdown: str) -> str:
    """Return the first words of `markdown` without its markup, on one line: at most `QUOTED` characters."""
    # Of more source than that, because markup takes space too.
    return Truncator(" ".join(to_plain_text(markdown[: 4 * QUOTED]).split())).chars(QUOTED)


class _Writer:
    def __init__(self) -> None:
        self.out: list[str] = []
        self._line_breaks = 0  # due before the next text
        self._after_label = False  # a bullet, number or label was written: the next text stays on its line
        self._lists: list[int | None] = []  # the next item's number in each open list
        self._links: list[tuple[str, int]] = []  # address, and where in `out` its text begins
        self._in_code = False

    def write(self, event: Event) -> None:
        name, value = unpack(event)
        match name:
            case "SoftBreak" | "HardBreak":
                self._break(1)
            case "Rule":
                self._break(2)
                self._add("* * *")
                self._break(2)
            case "Start":
                self._start(*unpack(value))
            case "End":
                self._end(*unpack(value))
            case "InlineMath":
                self._add(f"${value}$")
            case "DisplayMath":
                self._add(f"$${value}$$")
            case "TaskListMarker":
                self._add("[x] " if value else "[ ] ")
            case "FootnoteReference":
                self._add(f"[{value}]")
            case _:  # "Text", "Code", "InlineHtml", "Html"
                self._add(value)

    def _start(self, name: str, value: Any) -> None:
        if name in _BLOCKS:
            self._break(1 if self._lists else 2)
        match name:
            case "List":
                self._lists.append(value)
            case "Item":
                number = self._lists[-1]
                self._break(1)
                self._add("- " if number is None else f"{number}. ", indent=-1)
                self._lists[-1] = None if number is None else number + 1
                self._after_label = True
            case "CodeBlock":
                self._in_code = True
            case "FootnoteDefinition":
                self._add(f"[{value}] ")
                self._after_label = True
            case "Link" | "Image":
                self._links.append((value["dest_url"], len(self.out)))

    def _end(self, name: str, value: Any) -> None:
        match name:
            case "List":
                self._lists.pop()
            case "Link" | "Image":
                url, start = self._links.pop()
                if url not in "".join(self.out[start:]):
                    self._add(f" ({url})")
            case "TableCell":
                self._add("\t")
            case "TableHead" | "TableRow":
                self.out[-1] = self.out[-1].removesuffix("\t")
                self._break(1)
            case "Item":
                self._break(1)
            case "CodeBlock":
                self._in_code = False
                self.out[-1:] = [text.rstrip() for text in self.out[-1:]]
        if name in _BLOCKS:
            self._break(1 if self._lists else 2)

    def _break(self, number: int) -> None:
        self._line_breaks = 0 if self._after_label else max(self._line_breaks, number)

    def _add(self, text: str, indent: int = 0) -> None:
        margin = _INDENT * (len(self._lists) + indent)
        if self.out and self._line_breaks:
            self.out.append("\n" * self._line_breaks + margin)
        self._line_breaks, self._after_label = 0, False
        self.out.append(text.replace("\n", "\n" + margin) if self._in_code else text)
