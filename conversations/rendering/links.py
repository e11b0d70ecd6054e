"""URLs: those an answer may link to, and bare URLs in its text."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from conversations.rendering.continuation_marks import MARK

_ALLOWED = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
# The characters that CommonMark's reference renderer leaves unescaped. "%" keeps what is escaped already.
_SAFE_IN_URL: Final = "!#$%&'()*+,-./:;=?@_~[]"

# A bare URL ends at white space, at "<", and at Chinese and Japanese punctuation and brackets, which no space follows.
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
_TRAILING_PUNCTUATION: Final = "?!.,:;*_~'"


def safe_url(url: str) -> str | None:
    """Return `url` percent-encoded if its scheme is http, https or mailto, else None."""
    return quote(url.replace(MARK, ""), safe=_SAFE_IN_URL) if _ALLOWED.match(url) else None


def bare_links(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start, end and target of every web or e-mail address in `text`.

    As in GitHub's Markdown, punctuation at the end belongs to the sentence, and so does an unmatched closing bracket.
    """
    if not any(sign in text.lower() for sign in ("://", "www.", "@")):
        return
    for match in _BARE.finditer(text):
        url, end = match[0], len(match[0])
        if match["mail"]:
            yield match.start(), match.end(), f"mailto:{url}"
            continue
        surplus = url.count(")") - url.count("(")
        while url[end - 1] in _TRAILING_PUNCTUATION or (url[end - 1] == ")" and surplus > 0):
            surplus -= url[end - 1] == ")"
            end -= 1
        start = 4 if url[:4].lower() == "www." else url.index("://") + 3
        if end > start:
            yield match.start(), match.start() + end, ("http://" if start == 4 else "") + url[:end]
