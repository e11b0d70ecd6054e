"""Which addresses an answer may link to, and addresses written bare in its text."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from conversations.rendering.joins import JOIN

_ALLOWED = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
# What CommonMark's own renderer leaves unescaped in an address; "%" because what is escaped already stays so.
_SAFE_IN_URL: Final = "!#$%&'()*+,-./:;=?@_~[]"

# A bare address ends at a blank, at "<", and at the punctuation and brackets of Chinese and Japanese, which
# put no blank after it.
_BARE = re.compile(r"(?<![A-Za-z0-9@/_.-])https?://[^\s<>\"`\u3000-\u303f\uff01-\uff65]+", re.IGNORECASE)
_TRAILING: Final = "?!.,:;*_~'"


def safe_url(url: str) -> str | None:
    """Return `url` percent-encoded if its scheme is http, https or mailto, else None."""
    return quote(url.replace(JOIN, ""), safe=_SAFE_IN_URL) if _ALLOWED.match(url) else None


def bare_links(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of every http or https address in `text`.

    As in GitHub's Markdown, punctuation at the end belongs to the sentence, and so does a closing bracket
    that nothing opened.
    """
    if "://" not in text:
        return
    for match in _BARE.finditer(text):
        url, end = match[0], len(match[0])
        surplus = url.count(")") - url.count("(")
        while url[end - 1] in _TRAILING or (url[end - 1] == ")" and surplus > 0):
            surplus -= url[end - 1] == ")"
            end -= 1
        if end > url.index("://") + 3:
            yield match.start(), match.start() + end
