"""The label of a step: the first clause in it that says something, in the text's own words."""

import re
from typing import Final

from conversations.models.words import IDEOGRAPHS
from conversations.rendering.cues import says_nothing, without_filler

MAX_LABEL: Final = 60  # characters
SOURCE_CHARACTERS: Final = 500  # of a sentence, in which a clause is looked for

# At the start of a line: list markers, numbers, headings, quotation marks, checkboxes.
_MARKER = re.compile(
    r"(?:#{1,6}\s+|>+\s?|[-*+•·]\s+(?:\[[ xX]\]\s+)?|\(?\d{1,3}[.)、．](?!\d)\s*"
    r"|[(（][a-zA-Z\d一二三四五六七八九十]{1,3}[)）]\s*)+"
)
_MARKUP = re.compile(r"\*\*|__|~~|`+|\$\$?|\\[\[\]()]|(?<!\w)[*_]|[*_](?!\w)|!?\[(?=[^\]]*\]\()|\]\([^)\s]*\)")
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[^\n]*\n?")
# Control characters, and those that reorder text (Unicode 23.2): a label stands alone in attributes and lists.
_UNWANTED = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)|[。！？｡]")
_CLAUSE_END = re.compile(r"[,;:—–]\s|\s[-—–]\s|[，；：、]")
_TRAILING = " \t.,;:!…—–-|=（(，。：；！、*_~\"“”'"
_FIRST_WORD = re.compile(r"[^\W\d_]+(?:[\s,.:'’-]|$)")
_MIN_CLAUSE: Final = 24  # characters; half as many in Chinese and Japanese


def candidates(text: str) -> list[str]:
    """Return what could label a step that contains `text`, a sentence or block; the best one first."""
    source = text[:SOURCE_CHARACTERS]
    if fence := _FENCE.match(source):
        source = source[fence.end() :].strip().partition("\n")[0]
    elif source.startswith("|"):
        source = source.partition("\n")[0].strip("| ")
    plain = plain_line(source)
    if not plain or says_nothing(plain):
        return []
    whole = _end(plain, MAX_LABEL)
    clause = _first_clause(plain)
    found = [each for each in (clause, whole) if each and not says_nothing(each)]
    return list(dict.fromkeys(found if fence else map(_capitalised, found)))


def plain_line(text: str) -> str:
    """Return `text` on one line, without Markdown's marks and without filler at its start."""
    text = text.lstrip()
    marker = _MARKER.match(text)
    line = _MARKUP.sub("", text[marker.end() :] if marker else text)
    line = _SPACE.sub(" ", _UNWANTED.sub(" ", line)).strip()
    return without_filler(line)


def _first_clause(text: str) -> str:
    """Return the first sentence, or as much of it as fits, up to a clause's end if there is one."""
    sentence = text
    for end in _SENTENCE_END.finditer(text):
        if not says_nothing(text[: end.start()]) and not _is_number(text, end.start()):
            sentence = text[: end.start()]
            break
    if len(sentence) <= MAX_LABEL:
        return sentence.rstrip(_TRAILING)
    least = _MIN_CLAUSE // 2 if IDEOGRAPHS.search(sentence[:_MIN_CLAUSE]) else _MIN_CLAUSE
    for end in _CLAUSE_END.finditer(sentence):
        if end.start() > MAX_LABEL:
            break
        if end.start() >= least:
            return sentence[: end.start()].rstrip(_TRAILING)
    return _end(sentence, MAX_LABEL)


def _is_number(text: str, dot: int) -> bool:
    return text[dot] == "." and text[:dot].rpartition(" ")[2].isdigit()


def _end(text: str, characters: int) -> str:
    """Return `text`, shortened to so many characters between words if it is longer."""
    if len(text) <= characters:
        return text.rstrip(_TRAILING)
    head = text[: characters - 1]
    words, space, _ = head.rpartition(" ")
    return (words if space and len(words) > characters // 2 else head).rstrip(_TRAILING) + "…"


def _capitalised(text: str) -> str:
    if not _FIRST_WORD.match(text):
        return text  # a variable or a name in code
    first = text[:1].upper()  # "ß" would become two letters
    return (first if len(first) == 1 else text[:1]) + text[1:]
