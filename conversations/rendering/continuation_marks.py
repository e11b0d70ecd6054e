"""The mark that shows where a cut answer was continued.

In Markdown source it is one character after a word, which the parser takes for a letter. The sanitiser turns it into an
element.
"""

import re
from collections.abc import Iterable
from typing import Final

# A noncharacter (Unicode 23.7), like those in `mathematics`. `insert` replaces those that the text already has.
MARK: Final = "\U0001fffe"
_HTML: Final = '<span class="join" role="img" aria-label="Continued here" title="Continued here"></span>'

MAX_DISTANCE: Final = 400  # characters before the cut in which a word is looked for
# A word of letters, and punctuation without a meaning in Markdown: a mark would break "&amp;", "[x]" or an address.
_WORD = re.compile(r"(?<!\S)[^\s\[\]<>&\\`$|/#{}=~^@]*[^\W\d_][^\s\[\]<>&\\`$|/#{}=~^@]*(?=\s|\Z)")
# The sanitiser escapes "<" in text, and quotation marks in attributes.
_TAG = re.compile(r'(<(?:[^">]|"[^"]*")*>)')
_TAG_OR_CHARACTER = re.compile(r"<[^>]*>|(&[^;]*;|[^<&])", re.DOTALL)


def insert(text: str, continued_at: Iterable[int]) -> str:
    """Return `text` with a mark after the last word before each of these offsets, if there is a word."""
    text = text.replace(MARK, "\ufffd")  # one that the model wrote
    for end in sorted({_word_end(text, offset) for offset in continued_at}, reverse=True):
        if end:
            text = text[:end] + MARK + text[end:]
    return text


def to_html(html: str) -> str:
    """Return sanitised `html` with an element for each mark in its text. A mark inside a tag is dropped."""
    if MARK not in html:
        return html
    parts = _TAG.split(html)
    parts[::2] = [text.replace(MARK, _HTML) for text in parts[::2]]
    parts[1::2] = [tag.replace(MARK, "") for tag in parts[1::2]]
    return "".join(parts)


def extract(text: str) -> tuple[str, list[int]]:
    """Return `text` without its marks, and the offset of each."""
    *pieces, last = text.split(MARK)
    offsets, length = [], 0
    for piece in pieces:
        length += len(piece)
        offsets.append(length)
    return "".join([*pieces, last]), offsets


def restore(html: str, offsets: list[int]) -> str:
    """Return `html` with a mark at each of these offsets in its text."""
    if not offsets:
        return html
    out, length = [], 0
    for match in _TAG_OR_CHARACTER.finditer(html):
        out.append(match[0])
        if match[1] is not None:
            length += 1
            out.append(MARK * offsets.count(length))
    return "".join(out)


def _word_end(text: str, offset: int) -> int:
    """Return where the last word before `offset` ends, without its punctuation; 0 if there is none."""
    words = list(_WORD.finditer(text, max(0, offset - MAX_DISTANCE), offset))
    if not words:
        return 0
    return words[-1].start() + len(words[-1][0].rstrip("*_.,:;!?'\")”’»…-+。，、！？；："))
