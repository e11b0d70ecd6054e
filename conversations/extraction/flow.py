"""Turn the paragraphs and tables of Word and PowerPoint, whose elements have the same names, into text."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from conversations.extraction.office import Event

# Copies of what stands beside them, and what was moved elsewhere.
_SKIPPED: Final = {"Fallback", "moveFrom"}
_SPACE: Final = re.compile(r"\s+")


def write(events: Iterable[Event], add: Callable[[str], None], headings: Mapping[str, int]) -> None:
    """Pass each paragraph, and each row of a table, to `add` when it ends. `headings` has the level of each style."""
    writer = _Writer(add, headings)
    for event in events:
        writer.write(event)


class _Paragraph:
    def __init__(self) -> None:
        self.prefix = ""
        self.parts: list[str] = []


class _Writer:
    def __init__(self, add: Callable[[str], None], headings: Mapping[str, int]) -> None:
        self._add = add
        self._headings = headings
        self._skipping = 0
        self._in_text = False
        self._paragraphs: list[_Paragraph] = []  # a text box in a paragraph has paragraphs
        self._cells: list[list[str]] = []  # the paragraphs of each open cell; a cell may have a table
        self._rows: list[list[str]] = []  # the cells of each open row

    def write(self, event: Event) -> None:
        if event.start in _SKIPPED or event.end in _SKIPPED:
            self._skipping += 1 if event.start else -1
        elif self._skipping:
            return
        elif event.start:
            self._start(event.start, event.attributes)
        elif event.end:
            self._end(event.end)
        elif self._in_text and self._paragraphs:
            self._paragraphs[-1].parts.append(event.text)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        match name:
            case "p":
                self._paragraphs.append(_Paragraph())
            case "tr":
                self._rows.append([])
            case "tc":
                self._cells.append([])
            case "t":
                self._in_text = True
        if not self._paragraphs:
            return
        paragraph = self._paragraphs[-1]
        match name:
            case "pStyle" if level := self._headings.get(attributes.get("val", "")):
                paragraph.prefix = "#" * level + " "
            case "numPr" if not paragraph.prefix:
                paragraph.prefix = "- "
            case "ilvl" if paragraph.prefix == "- " and attributes.get("val", "") in "12345678":
                paragraph.prefix = "  " * int(attributes["val"]) + "- "
            case "tab" if "val" not in attributes:  # with it, a tab stop
                paragraph.parts.append("\t")
            case "br" | "cr":
                paragraph.parts.append("\n")
            case "noBreakHyphen":
                paragraph.parts.append("-")
            case "footnoteReference" | "endnoteReference":
                paragraph.parts.append(f"[{name.removesuffix('Reference')} {attributes.get('id', '')}]")

    def _end(self, name: str) -> None:
        match name:
            case "t":
                self._in_text = False
            case "p" if self._paragraphs:
                paragraph = self._paragraphs.pop()
                text = "".join(paragraph.parts)
                if text.strip():
                    self._emit(paragraph.prefix + text, "\n" if paragraph.prefix.endswith("- ") else "\n\n")
            case "tc" if self._cells and self._rows:
                self._rows[-1].append(_SPACE.sub(" ", " ".join(self._cells.pop())))
            case "tr" if self._rows:
                self._emit(f"| {' | '.join(self._rows.pop())} |", "\n")
            case "tbl":
                self._emit("", "\n")

    def _emit(self, text: str, end: str) -> None:
        if self._cells:
            self._cells[-1].append(text)
        else:
            self._add(text + end)
