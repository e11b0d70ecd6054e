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
_BARE = re.compile(
    r"""
      (?<![A-Za-z0-9@/_.-])(?:https?://|www\.(?=[A-Za-z0-9]))[^\s<>"`\u3000-\u303f\uff01-\uff65]+
    | (?P<mail>
        (?<![A-Za-z0-9.+_/:@-])[A-Za-z0-9.+_-]++@
        [A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z][A-Za-z0-9]*+(?![-_@/]|:\S)
      )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_TRAILING: Final = "?!.,:;*_~'"


def safe_url(url: str) -> str | None:
    """Return `url` percent-encoded if its scheme is http, https or mailto, else None."""
    return quote(url.replace(JOIN, ""), safe=_SAFE_IN_URL) if _ALLOWED.match(url) else None


def bare_links(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start and end of every web or mail address written in `text`, and what it leads to.

    As in GitHub's Markdown, punctuation at the end belongs to the sentence, and so does a closing bracket
    that nothing opened.
    """
    if not any(sign in text.lower() for sign in ("://", "www.", "@")):
        return
    for match in _BARE.finditer(text):
        url, end = match[0], len(match[0])
        if match["mail"]:
            yield match.start(), match.end(), f"mailto:{url}"
            continue
        surplus = url.count(")") - url.count("(")
        while url[end - 1] in _TRAILING or (url[end - 1] == ")" and surplus > 0):
            surplus -= url[end - 1] == ")"
            end -= 1
        start = 4 if url[:4].lower() == "www." else url.index("://") + 3
        if end > start:
            yield match.start(), match.start() + end, ("http://" if start == 4 else "") + url[:end]
