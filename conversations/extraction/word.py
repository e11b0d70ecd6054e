"""Read the text of Word documents: the body, then footnotes and endnotes."""

import re
from typing import BinaryIO, Final

from conversations.extraction import flow
from conversations.extraction.office import Package
from conversations.extraction.output import Output
from conversations.extraction.result import Limits, Unreadable

NO_TEXT: Final = "This document has no text. If it has pictures of text, attach those as images."

_HEADING: Final = re.compile(r"heading ([1-6])|title", re.IGNORECASE)


def read(file: BinaryIO, output: Output, limits: Limits) -> None:
    """Add the document, with headings, lists, tables and notes much as in Markdown."""
    package = Package(file, limits)
    main, _ = package.main_part()
    parts = dict(package.related(main).values())  # by type
    headings = _headings(package, parts["styles"]) if "styles" in parts else {}
    flow.write(package.events(main), output.add, headings)
    for kind in ("footnote", "endnote"):
        if f"{kind}s" in parts:
            _add_notes(package, parts[f"{kind}s"], kind, output)
    if not output.text():
        raise Unreadable(NO_TEXT)


def _headings(package: Package, part: str) -> dict[str, int]:
    """Return the level of each heading's style, by id. The names of these styles are English in every language."""
    found = {}
    style = ""
    for event in package.events(part):
        if event.start == "style":
            style = event.attributes.get("styleId", "")
        elif event.start == "name" and (match := _HEADING.fullmatch(event.attributes.get("val", ""))):
            found[style] = int(match[1] or 1)
    return found


def _add_notes(package: Package, part: str, kind: str, output: Output) -> None:
    """Add each note after the label that stands for it in the text."""

    label = ""

    def add(text: str) -> None:
        nonlocal label
        output.add(label + text)
        label = ""

    events = []
    for event in package.events(part):
        events.append(event)
        if event.start == kind:
            label = f"[{kind} {event.attributes.get('id', '')}] "
        elif event.end == kind:
            flow.write(events, add, {})
            events.clear()
