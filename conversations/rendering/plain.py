"""Markdown to plain text, for pasting where nothing is rendered."""

from typing import Any

from conversations.rendering.blocks import PARSER
from conversations.rendering.markdown import MAX_CHARACTERS, normalise
from conversations.rendering.mathematics import protect

_INDENT = "   "
_BLOCKS = ("Paragraph", "Heading", "BlockQuote", "CodeBlock", "Table", "FootnoteDefinition", "HtmlBlock", "List")


def to_text(markdown: str) -> str:
    """Return `markdown` without its marks: lists, cells, code and formulas stay as text; a link's address follows it.

    A text over `MAX_CHARACTERS` comes back as it is.
    """
    if len(markdown) > MAX_CHARACTERS:
        return markdown
    source = protect(normalise(markdown))
    writer = _Writer()
    for event in PARSER.events(source.text, merge_text=True):
        writer.write(event)
    return source.restore("".join(writer.out)) + "\n"


class _Writer:
    def __init__(self) -> None:
        self.out: list[str] = []
        self._breaks = 0  # line breaks that are due before the next text
        self._labelled = False  # a bullet, number or label was written: what it is of stands beside it
        self._lists: list[int | None] = []  # the next item's number in each list we are in
        self._links: list[tuple[str, int]] = []  # address, and where in `out` its text begins
        self._in_code = False

    def write(self, event: Any) -> None:
        match event:
            case "SoftBreak" | "HardBreak":
                self._break(1)
            case "Rule":
                self._break(2)
                self._add("* * *")
                self._break(2)
            case {"Start": tag}:
                self._start(*_named(tag))
            case {"End": tag}:
                self._end(*_named(tag))
            case {"InlineMath": formula}:
                self._add(f"${formula}$")
            case {"DisplayMath": formula}:
                self._add(f"$${formula}$$")
            case {"TaskListMarker": done}:
                self._add("[x] " if done else "[ ] ")
            case {"FootnoteReference": label}:
                self._add(f"[{label}]")
            case {"Text": text} | {"Code": text} | {"InlineHtml": text} | {"Html": text}:
                self._add(text)

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
                self._labelled = True
            case "CodeBlock":
                self._in_code = True
            case "FootnoteDefinition":
                self._add(f"[{value}] ")
                self._labelled = True
            case "Link" | "Image":
                self._links.append((value["dest_url"], len(self.out)))

    def _end(self, name: str, value: Any) -> None:
        match name:
            case "List":
                self._lists.pop()
            case "Link" | "Image":
                url, begun = self._links.pop()
                if url not in "".join(self.out[begun:]):
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
        self._breaks = 0 if self._labelled else max(self._breaks, number)

    def _add(self, text: str, indent: int = 0) -> None:
        margin = _INDENT * (len(self._lists) + indent)
        if self.out and self._breaks:
            self.out.append("\n" * self._breaks + margin)
        self._breaks, self._labelled = 0, False
        self.out.append(text.replace("\n", "\n" + margin) if self._in_code else text)


def _named(tag: Any) -> tuple[str, Any]:
    return (tag, None) if isinstance(tag, str) else next(iter(tag.items()))
