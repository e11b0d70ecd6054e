"""Find words in rendered text, and mark them."""

import re
from html import escape, unescape
from typing import Final

# Tags, formulas (which cannot contain <mark>), and the text between them.
_PARTS: Final = re.compile(r'(<math\b.*?</math>|<(?:[^">]|"[^"]*")*>)', re.DOTALL)


def mark(html: str, query: str) -> tuple[str, int]:
    """Return sanitised `html` with each occurrence of a word of `query` in a <mark>, and how many there are."""
    words = sorted(map(re.escape, query.split()), key=len, reverse=True)
    if not words:
        return html, 0
    pattern = re.compile("|".join(words), re.IGNORECASE)
    found = 0
    parts = _PARTS.split(html)
    for index in range(0, len(parts), 2):  # the others are tags and formulas
        text = unescape(parts[index])
        marked, at = [], 0
        for match in pattern.finditer(text):
            marked += [escape(text[at : match.start()], quote=False), f"<mark>{escape(match[0], quote=False)}</mark>"]
            at = match.end()
            found += 1
        if marked:
            parts[index] = "".join([*marked, escape(text[at:], quote=False)])
    return "".join(parts), found
