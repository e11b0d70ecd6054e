"""Count the words of a text in any script, and find words in texts without an index."""

import re
from collections.abc import Iterable

from django.db.models import Q

# Chinese and Japanese have no spaces between words, so each of their characters counts as one. Korean has spaces.
IDEOGRAPHS = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]+"
)
_LONE_PUNCTUATION = re.compile(r"(?<!\S)[^\w\s]+(?!\S)")  # a dash or a bullet between spaces


def contains_words(field: str, words: Iterable[str], vendor: str) -> list[Q]:
    """Return the conditions that a field contains every word, ignoring case, in a database of this vendor."""
    # LIKE of SQLite ignores the case of ASCII only. Its regular expressions are Python's.
    if vendor == "sqlite":
        return [Q(**{f"{field}__iregex": re.escape(word)}) for word in words]
    return [Q(**{f"{field}__icontains": word}) for word in words]


def count_words(text: str) -> int:
    """Return the number of words of a text, at least 1 unless it is blank."""
    rest, runs = (text, 0) if text.isascii() else IDEOGRAPHS.subn(" ", text)
    ideographs = len(text) - (len(rest) - runs)  # each run was replaced by one space
    found = rest.split()
    words = len(found) - len(_LONE_PUNCTUATION.findall(rest))
    return ideographs + words or min(len(found), 1)
