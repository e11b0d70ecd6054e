"""Cue phrases that begin a sentence of a thought, from `cues.toml`: filler, and what shows the kind of a step."""

import re
import tomllib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from conversations.models.words import IDEOGRAPHS

PHRASE_CHARACTERS: Final = 60  # the longest phrase, with room for markup


class StepKind(StrEnum):
    """What a step of a thought does. Values are stored; the order is that of precedence."""

    PLAIN = ""
    CORRECTION = "correction"
    CHECK = "check"
    CALCULATION = "calculation"
    OPTION = "option"


def _pattern(phrases: Iterable[str]) -> str:
    """Return an expression that matches any of `phrases`, the longest possible, as whole words."""
    alternatives = (_alternative(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return "(?:" + "|".join(alternatives).replace("'", "['’]") + ")"


def _alternative(phrase: str) -> str:
    if phrase.endswith((",", "，")):
        return re.escape(phrase[:-1]) + r"\s?(?:[,.:;!?…，。：；！？]|\Z)"
    return re.escape(phrase) + ("" if IDEOGRAPHS.match(phrase[-1]) else r"(?![\w-])")


def _phrases(languages: dict[str, list[str]]) -> list[str]:
    return [phrase for phrases in languages.values() for phrase in phrases]


_CUES: Final[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "cues.toml").read_text())
_AFTER: Final = r"[\s,.:;!?…—–\-*_~，。：；！？、]*"
_LEADING: Final = re.compile(r"[\s*_~>\"'“”‘’「（(]*")
_FILLER: Final = re.compile(_pattern(_phrases(_CUES["filler"])) + _AFTER)
_KINDS: Final = {kind: re.compile(_pattern(_phrases(_CUES["kinds"][kind])) + _AFTER) for kind in StepKind if kind}
_VAGUE: Final = re.compile(_pattern(_phrases(_CUES["vague"])) + _AFTER)
# Most sentences begin with none of these, and are not looked at any further.
_STARTS: Final = {phrase[:2] for part in (_CUES["filler"], *_CUES["kinds"].values()) for phrase in _phrases(part)}
_WORD: Final = re.compile(r"\w")


def without_filler(text: str) -> str:
    """Return `text` without the filler at its start; "" if that is all there is."""
    at, lowered = 0, _lowered(text)
    while (found := _FILLER.match(lowered, at)) and found.end() > at:
        at = found.end()
    return text[at:]


def kind_of(sentence: str) -> StepKind:
    """Return the kind that the start of a sentence shows."""
    start = _LEADING.sub("", sentence[:PHRASE_CHARACTERS], count=1)
    start = _lowered(start)
    for text in (start, without_filler(start)):
        if text[:2] not in _STARTS:
            return StepKind.PLAIN
        for kind, pattern in _KINDS.items():
            if pattern.match(text):
                return kind
    return StepKind.PLAIN


def says_nothing(text: str) -> bool:
    """Return whether `text` consists of filler, cue phrases and vague words only."""
    patterns = (_FILLER, *_KINDS.values(), _VAGUE)
    at, lowered = 0, _lowered(text)
    while found := next((match for pattern in patterns if (match := pattern.match(lowered, at))), None):
        at = found.end()
    return not _WORD.search(text, at)


def _lowered(text: str) -> str:
    """Return `text` in lower case, as phrases are, with every character in its place."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text  # "İ" becomes two characters
