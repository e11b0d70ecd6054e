"""Text from an endpoint, made fit to be stored, logged and shown to staff."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby, takewhile
from operator import itemgetter

ELLIPSIS = "…"
# Of keys that are not ours, as gateways repeat those of the services behind them: the usual prefixes, JSON web tokens,
# and user names and passwords in URLs.
SECRETS = re.compile(r"\b(?:sk|rk|gsk|xai|hf)[-_][\w*.-]{6,}|\bBearer\s+\S+|\beyJ[\w.-]{8,}|(?<=//)[^/\s@]+(?=@)")
# Endpoints quote input that they refuse. Shorter texts that were sent are looked for whole, longer ones in pieces.
PIECE_CHARACTERS = 12
SHORTEST_TEXT = 4
SHORTEST_KEY = 8  # an endpoint without keys gets the word "none"


def storable(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot store, and lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def one_line(text: str, characters: int) -> str:
    """Return at most so many characters of `text`, without line breaks, controls and characters that reorder text."""
    text = text[: 4 * characters]
    text = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    text = " ".join(text.split())
    return text if len(text) <= characters else text[: characters - 1] + ELLIPSIS


def without_secrets(text: str, *keys: str) -> str:
    """Return `text` without `keys`, and without what looks like a key."""
    for key in keys:
        if len(key) >= SHORTEST_KEY:
            text = text.replace(key, ELLIPSIS)
    return SECRETS.sub(ELLIPSIS, text)


def without_repetitions(text: str, sent: Iterable[str]) -> str:
    """Return `text` without what it repeats of `sent`, so that no 23 characters in a row are left of it.

    Takes time in proportion to the length of `sent`.
    """
    hidden = [False] * len(text)
    size = PIECE_CHARACTERS
    places: dict[str, list[int]] = defaultdict(list)
    for at in range(len(text) - size + 1):
        places[text[at : at + size]].append(at)
    for whole in sent:
        if SHORTEST_TEXT <= len(short := whole.strip()) < 2 * size:
            for found in re.finditer(re.escape(short), text):
                hidden[found.start() : found.end()] = [True] * len(short)
        for at in range(0, len(whole) - size + 1, size):
            for start in places.pop(whole[at : at + size], ()):
                before = _common(reversed(text[:start]), reversed(whole[max(0, at - start) : at]))
                after = _common(text[start:], whole[at : at + len(text) - start])
                hidden[start - before : start + after] = [True] * (before + after)
    groups = groupby(zip(text, hidden, strict=True), key=itemgetter(1))
    return "".join(
        ELLIPSIS if is_hidden else "".join(character for character, _ in group) for is_hidden, group in groups
    )


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """Return how many characters two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
