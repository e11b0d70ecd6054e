"""The part of a text that a search found, with what it found marked."""

import re

AROUND = 90  # characters shown before the first hit, and twice as many after it
EDGE = 12  # characters within which a passage rather begins and ends at a blank


def passage(text: str, query: str) -> list[tuple[str, bool]]:
    """Return (piece, whether it was searched for) of the text around the first word of `query` that it holds."""
    hits = re.compile("|".join(sorted(map(re.escape, query.split()), key=len, reverse=True)), re.IGNORECASE)
    first = hits.search(text)
    at = first.start() if first else 0
    start, end = max(0, at - AROUND), min(len(text), at + 2 * AROUND)
    if start and (blank := text.find(" ", start, start + EDGE)) >= 0:
        start = blank + 1
    if end < len(text) and (blank := text.rfind(" ", end - EDGE, end)) >= 0:
        end = blank
    pieces: list[tuple[str, bool]] = [("… ", False)] if start else []
    for hit in hits.finditer(text, start, end):
        pieces += [(text[start : hit.start()], False), (hit.group(), True)]
        start = hit.end()
    pieces.append((text[start:end] + (" …" if end < len(text) else ""), False))
    return [piece for piece in pieces if piece[0]]
