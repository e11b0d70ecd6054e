"""A quiet mark in an answer where it was cut and went on.

It travels through the renderer as one character, which stands behind a word, where Markdown takes it for a letter.
"""

import re
from collections.abc import Iterable
from typing import Final

# A noncharacter (Unicode 23.7) beside those of `mathematics`. One that came with a text is replaced.
JOIN: Final = "\U0001fffe"
_HTML: Final = '<span class="join" role="img" aria-label="Continued here" title="Continued here"></span>'

REACH: Final = 400  # characters before a cut in which a word is looked for
# A word of letters, and punctuation that means nothing to Markdown: "&amp;", "[x]" or an address would break.
_WORD = re.compile(r"(?<!\S)[^\s\[\]<>&\\`$|/#{}=~^@]*[^\W\d_][^\s\[\]<>&\\`$|/#{}=~^@]*(?=\s|\Z)")
# In what the sanitiser writes, "<" begins a tag and values are quoted; a quotation mark in one is escaped.
_TAG = re.compile(r'(<(?:[^">]|"[^"]*")*>)')
_TAG_OR_CHARACTER = re.compile(r"<[^>]*>|(&[^;]*;|[^<&])", re.DOTALL)


def clean(text: str) -> str:
    """Return `text`, which somebody else wrote, without our character."""
    return text.replace(JOIN, "\ufffd")


def mark(text: str, joins: Iterable[int]) -> str:
    """Return `text` with the character behind the last word before each of these offsets, where there is a word."""
    text = clean(text)
    for place in sorted({_place(text, join) for join in joins}, reverse=True):
        if place:
            text = text[:place] + JOIN + text[place:]
    return text


def show(html: str) -> str:
    """Return sanitised `html` with marks in its text; in a tag, a mark is dropped."""
    if JOIN not in html:
        return html
    parts = _TAG.split(html)
    parts[::2] = [text.replace(JOIN, _HTML) for text in parts[::2]]
    parts[1::2] = [tag.replace(JOIN, "") for tag in parts[1::2]]
    return "".join(parts)


def take_out(text: str) -> tuple[str, list[int]]:
    """Return `text` without the character, and how much stands before each."""
    *pieces, last = text.split(JOIN)
    places, length = [], 0
    for piece in pieces:
        length += len(piece)
        places.append(length)
    return "".join([*pieces, last]), places


def put_in(html: str, places: list[int]) -> str:
    """Return `html` with the character behind so much of its text each."""
    if not places:
        return html
    out, length = [], 0
    for match in _TAG_OR_CHARACTER.finditer(html):
        out.append(match[0])
        if match[1] is not None:
            length += 1
            out.append(JOIN * places.count(length))
    return "".join(out)


def _place(text: str, join: int) -> int:
    """Return where the last word before `join` ends, without punctuation; 0 if there is none."""
    words = list(_WORD.finditer(text, max(0, join - REACH), join))
    if not words:
        return 0
    return words[-1].start() + len(words[-1][0].rstrip("*_.,:;!?'\")”’»…-+。，、！？；："))
