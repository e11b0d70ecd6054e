"""Read the text of PowerPoint presentations: each slide, in order, and its notes."""

from typing import BinaryIO, Final

from conversations.extraction import flow
from conversations.extraction.office import Package
from conversations.extraction.output import Output
from conversations.extraction.result import LimitReached, Limits, Unreadable

NO_TEXT: Final = "This presentation has no text. If its slides are pictures, attach those as images."


def read(file: BinaryIO, output: Output, limits: Limits) -> None:
    """Add the text of each slide below a heading with its number."""
    package = Package(file, limits)
    main, _ = package.main_part()
    related = package.related(main)
    ids = [event.attributes.get("id", "") for event in package.events(main) if event.start == "sldId"]
    slides = [related[id][1] for id in ids if id in related]
    has_text, heading = False, ""

    def add(text: str) -> None:
        nonlocal has_text, heading
        has_text = True
        output.add(heading + text)
        heading = ""

    for number, slide in enumerate(slides[: limits.pages], start=1):
        heading = f"## Slide {number}\n\n"
        flow.write(package.events(slide), add, {})
        for kind, part in package.related(slide).values():
            if kind == "notesSlide":
                heading += "Notes:\n\n"
                flow.write(package.events(part), add, {})
    if not has_text:
        raise Unreadable(NO_TEXT)
    if limits.pages < len(slides):
        raise LimitReached(f"Only the first {limits.pages:,} of {len(slides):,} slides were read.")
