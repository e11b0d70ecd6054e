"""Search results: the part of a text around the words that were found."""

import re
from typing import Final

# Characters.
BEFORE: Final = 90  # shown before the first match
AFTER: Final = 180  # shown from the first match on
MAX_TRIM: Final = 12  # cut off so that a snippet starts and ends between two words


Snippet = list[tuple[str, bool]]  # parts of a text, and whether each is a match


def position(text: str, query: str) -> int | None:
    """Return where the first word of `query` in `text` is; None if it contains none."""
    first = _pattern(query).search(text)
    return first.start() if first else None


def snippet(text: str, query: str, before: int = BEFORE) -> Snippet:
    """Return the text around the first word of `query` in `text`, with all matches marked.

    It starts up to `before` characters before that word.
    """
    pattern = _pattern(query)
    found_at = position(text, query) or 0
    start, end = max(0, found_at - before), min(len(text), found_at + AFTER)
    if start and (space := text.find(" ", start, start + MAX_TRIM)) >= 0:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", end - MAX_TRIM, end)) >= 0:
        end = space
    parts: Snippet = [("… ", False)] if start else []
    for match in pattern.finditer(text, start, end):
        parts += [(text[start : match.start()], False), (match.group(), True)]
        start = match.end()
    parts.append((text[start:end] + (" …" if end < len(text) else ""), False))
    return [part for part in parts if part[0]]


def _pattern(query: str) -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(re.escape, query.split()), key=len, reverse=True)), re.IGNORECASE)
