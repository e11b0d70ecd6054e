"""Compare two renderings of answers: by blocks, and inside blocks that are similar by words.

Only <del> and <ins> are added, around text and around whole blocks, never inside a tag or a formula. The cost is
bounded: long blocks are compared by lines, and what is too long or too different is shown as a whole.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from conversations.rendering import patches

MAX_TOKENS: Final = 1_200  # of a block that is compared by words, or by lines
MAX_TOKENS_PER_PAGE: Final = 12_000
LEAST_SIMILARITY: Final = 0.35  # of blocks that are compared inside

_IDS: Final = re.compile(r'( id="|href="#)c[0-9]+-')
_CHARACTER: Final = "[\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]"
_TAG: Final = r'<(?:[^">]|"[^"]*")*>'
_WORDS: Final = re.compile(
    rf"<math\b.*?</math>|{_TAG}|{_CHARACTER}|&[a-z0-9#]+;|(?:(?!{_CHARACTER})\w)+|\s+|.", re.DOTALL
)
_LINES: Final = re.compile(rf"<math\b.*?</math>|{_TAG}|[^<\n]+\n?|\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """Blocks side by side. One side is empty if the block is in one answer only."""

    old: SafeString
    new: SafeString
    is_same: bool


def rows(old: str, new: str) -> list[Row]:
    """Return the blocks of two sanitised texts, whose ids begin with "c" and a number, in pairs."""
    before, after = patches.elements(old), patches.elements(new)
    keys, new_keys = ([hash(_IDS.sub(r"\1", block)) for block in blocks] for blocks in (before, after))
    found: list[Row] = []
    budget = MAX_TOKENS_PER_PAGE
    for name, start, end, new_start, new_end in SequenceMatcher(a=keys, b=new_keys).get_opcodes():
        for one, other in zip_longest(before[start:end], after[new_start:new_end], fillvalue=""):
            if name == "equal":
                found.append(_row(one, other, is_same=True))
                continue
            pair = _compare(one, other, budget) if one and other else None
            if pair:
                budget -= len(one) // 4
            found.append(_row(*(pair or (_whole(one, "del"), _whole(other, "ins"))), is_same=False))
    return found


def texts(old: str, new: str) -> tuple[SafeString, SafeString]:
    """Return two plain texts, escaped, with what differs marked."""
    row = rows(f"<p>{escape(old)}</p>", f"<p>{escape(new)}</p>")[0]
    return row.old, row.new


def _row(old: str, new: str, *, is_same: bool) -> Row:
    return Row(mark_safe(old), mark_safe(new), is_same)  # noqa: S308  (sanitised, with nothing but <del> and <ins> added)


def _whole(block: str, tag: str) -> str:
    return f'<{tag} class="whole">{block}</{tag}>' if block else ""


def _compare(old: str, new: str, budget: int) -> tuple[str, str] | None:
    """Return both blocks with what differs in them marked; None if they are too long or too different."""
    for pattern in (_WORDS, _LINES):
        tokens = pattern.findall(old), pattern.findall(new)
        if max(map(len, tokens)) <= min(MAX_TOKENS, budget):
            matcher = SequenceMatcher(None, *tokens)
            if matcher.real_quick_ratio() < LEAST_SIMILARITY or matcher.quick_ratio() < LEAST_SIMILARITY:
                return None
            codes = matcher.get_opcodes()
            return (
                _mark(tokens[0], [(start, end) for name, start, end, _, _ in codes if name != "equal"], "del"),
                _mark(tokens[1], [(start, end) for name, _, _, start, end in codes if name != "equal"], "ins"),
            )
    return None


def _mark(tokens: Sequence[str], changed: Sequence[tuple[int, int]], tag: str) -> str:
    """Return the joined tokens, with each run of text in the ranges `changed` in an element `tag`."""
    parts: list[str] = []
    at = 0
    for start, end in changed:
        parts += tokens[at:start]
        run: list[str] = []
        for token in (*tokens[start:end], "<"):
            if not token.startswith("<") or token.startswith("<math"):
                run.append(token)
                continue
            text = "".join(run)
            parts.append(f"<{tag}>{text}</{tag}>" if text.strip() else text)
            parts.append(token)
            run = []
        parts.pop()
        at = end
    return "".join([*parts, *tokens[at:]])
