"""How long a text is, as people say it."""

import re

# Chinese and Japanese have no spaces between words: each of their characters counts as one. Korean has spaces.
_CHARACTERS = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]+"
)
_PUNCTUATION = re.compile(r"(?<!\S)[^\w\s]+(?!\S)")  # that stands alone: a dash, a bullet


def count_words(text: str) -> int:
    """Return how many words a text has, in any script: at least one, unless it is blank."""
    rest, runs = (text, 0) if text.isascii() else _CHARACTERS.subn(" ", text)
    characters = len(text) - (len(rest) - runs)
    found = rest.split()
    words = len(found) - len(_PUNCTUATION.findall(rest))
    return characters + words or min(len(found), 1)
