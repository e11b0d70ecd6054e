r"""Find formulas in Markdown source and turn LaTeX into MathML.

Markdown's parser knows ``$…$`` and ``$$…$$``. Models also write ``\(…\)`` and ``\[…\]``, which it would
unescape to bare brackets, and displayed formulas over several lines, of which one that starts with ``-`` or
``=`` would become a list or a heading. `protect` takes such formulas out before parsing and leaves markers
that Markdown treats as letters; `Protected` puts them back.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Final, NamedTuple

from math_core import LatexError, LatexToMathML

from conversations.rendering.joins import JOIN

# math-core recurses, and a stack overflow ends the process: measured on 0.9.0, a level takes about 2.7 kB,
# and glibc gives a thread 8 MB. 2,000 characters can nest 400 levels at most; 100 are more than anybody
# reads.
MAX_FORMULA_CHARACTERS: Final = 2_000
MAX_FORMULA_DEPTH: Final = 100
# \newcommand multiplies its body: at math-core's default of 1,000, 2,000 characters became 4.9 MB of MathML.
MAX_MACRO_EXPANSIONS: Final = 20

# Noncharacters (Unicode 23.7) have no meaning in text that is exchanged, so they can mark places in it;
# `markdown.normalise` removes those that came with it.
_MARK, _END = "\ufdd0", "\ufdd1"
_PLACE = re.compile(f"{_MARK}([0-9]+){_END}")

_LEAD = r"^(?:[ \t>]|[-+*][ \t]|[0-9]{1,9}[.)][ \t])*+"
_TOKEN = re.compile(
    rf"""
      {_LEAD}(?P<fence>`{{3,}}|~{{3,}})
    | (?P<lead>{_LEAD})(?P<block>\$\$|\\\[)
    | (?P<blank>\n[ \t]*(?=\n))
    | (?P<escape>\\[\\$])
    | (?P<delimiter>\$\$|\\[()\[\]])
    | (?P<code>`+)
    """,
    re.VERBOSE | re.MULTILINE,
)
_CLOSING: Final = {r"\(": r"\)", r"\[": r"\]", "$$": "$$"}
_QUOTE_MARKS = re.compile(r"(?m)^[ \t]*(?:>[ \t]?)+")
_LATEX_CHARACTER = re.compile(r"[\\^_=]")

_NESTING = re.compile(
    r"(?P<up>\{|\\(?:left|begin)(?![A-Za-z]))|(?P<down>\}|\\(?:right|end)(?![A-Za-z]))|\\.", re.DOTALL
)
_COMMAND_RUN = re.compile(rf"(?:\\[A-Za-z]++\s*+){{{MAX_FORMULA_DEPTH}}}")

# The content security policy forbids style attributes. Of those that math-core writes, the ones that carry
# meaning become classes; colours and widths are left out.
_STYLE = re.compile(r' style="([^"]*)"')
_STYLE_CLASSES: Final = {
    "text-align: left": "math-left",
    "text-align: right": "math-right",
    "border-left": "math-line-left",
    "border-right": "math-line-right",
    "border-top": "math-line-top",
    "border-bottom": "math-line-bottom",
}
# MathML Core has no menclose; browsers show its content bare.
_ENCLOSURE = re.compile(r'<menclose notation="([a-z]+)">')

_converter = LatexToMathML(fancy_error=False, max_expansions=MAX_MACRO_EXPANSIONS)


class Formula(NamedTuple):
    """One formula: its LaTeX, whether it stands on its own line, and exactly what the source had."""

    latex: str
    display: bool
    source: str
    complete: bool = True

    def html(self) -> str:
        """Return the formula as MathML, or as its source while its end is missing."""
        return to_mathml(self.latex, display=self.display) if self.complete else _as_source(self.latex)


@dataclass(frozen=True, slots=True)
class Protected:
    """Source whose formulas have been replaced by markers, and those formulas in order."""

    text: str
    formulas: tuple[Formula, ...]

    def restore(self, text: str) -> str:
        """Return `text`, any part of the protected source, as it stood before."""
        if _MARK not in text:
            return text
        return _PLACE.sub(lambda place: self.formulas[int(place[1])].source, text)

    def split(self, text: str) -> list[str | Formula]:
        """Return `text` as strings and formulas in turn, a (perhaps empty) string first and last."""
        if _MARK not in text:
            return [text]
        parts = _PLACE.split(text)
        return [self.formulas[int(part)] if index % 2 else part for index, part in enumerate(parts)]


class _Opening(NamedTuple):
    at: int
    delimiter: str
    starts_line: bool
    quoted: bool


def protect(text: str, *, streaming: bool = False) -> Protected:
    r"""Replace ``\(…\)``, ``\[…\]`` and any ``$$…$$`` that starts a line by markers, outside code.

    One pass, linear in `text`. A formula holds no blank line and no backtick, and no line break unless it
    starts a line. Brackets that are escaped rather than mathematical stay: ``f\(x\)`` after a letter,
    ``\[a\](b)``, and ``\[note\]`` inside a line without a character that only LaTeX would have. With
    `streaming`, a formula that starts a line may end with the text: the rest of it has yet to come.
    """
    if not any(delimiter in text for delimiter in _CLOSING):
        return Protected(text, ())
    formulas: list[Formula] = []
    out: list[str] = []
    written = 0
    fence = ""
    opening: _Opening | None = None
    for token in _TOKEN.finditer(text):
        kind, found = token.lastgroup, token[token.lastgroup]
        if kind == "fence":
            if not fence:
                fence = found
            elif found.startswith(fence):
                fence = ""
            opening = None
        elif fence or kind == "escape":
            continue
        elif kind in ("blank", "code"):
            opening = None
        elif opening and found == _CLOSING[opening.delimiter]:
            formula = _formula(text, opening, token.end())
            if formula:
                out += (text[written : opening.at], f"{_MARK}{len(formulas)}{_END}")
                written = token.end()
                formulas.append(formula)
            opening = None
        elif (kind == "block" or found in (r"\(", r"\[")) and not (opening and opening.delimiter == "$$"):
            quoted = kind == "block" and ">" in token["lead"]
            opening = _Opening(token.start(kind), found, kind == "block", quoted)
    if streaming and opening and opening.starts_line and len(text) - opening.at <= MAX_FORMULA_CHARACTERS:
        out += (text[written : opening.at], f"{_MARK}{len(formulas)}{_END}")
        source = text[opening.at :]
        formulas.append(Formula(source[2:], True, source, complete=False))
        written = len(text)
    out.append(text[written:])
    return Protected("".join(out), tuple(formulas))


def _formula(text: str, opening: _Opening, end: int) -> Formula | None:
    latex = text[opening.at + 2 : end - 2]
    before, after = text[opening.at - 1 : opening.at], text[end : end + 1]
    if not latex.strip() or len(latex) > MAX_FORMULA_CHARACTERS or ("\n" in latex and not opening.starts_line):
        return None
    if opening.delimiter == r"\(" and before.isascii() and before.isalnum():
        return None
    if opening.delimiter == r"\[" and (
        after in ("(", "[", ":") or not (opening.starts_line or _LATEX_CHARACTER.search(latex))
    ):
        return None
    if opening.quoted:
        latex = _QUOTE_MARKS.sub("", latex)
    return Formula(latex, opening.delimiter != r"\(", text[opening.at : end])


@lru_cache(maxsize=2_048)
def to_mathml(latex: str, *, display: bool) -> str:
    """Return `latex` as a MathML element, or as escaped source in ``<code class="math">`` if it cannot be
    converted.

    Formulas over `MAX_FORMULA_CHARACTERS` or `MAX_FORMULA_DEPTH` are not tried. Cached, because the open end
    of a streaming answer is rendered again and again.
    """
    latex = latex.replace(JOIN, "")
    if len(latex) <= MAX_FORMULA_CHARACTERS and not _is_too_deep(latex):
        try:
            return _without_styles(_converter.convert_with_local_state(latex, displaystyle=display))
        except LatexError:
            pass
    return _as_source(latex)


def _as_source(latex: str) -> str:
    return f'<code class="math">{escape(latex.strip(), quote=False)}</code>'


def _is_too_deep(latex: str) -> bool:
    depth = deepest = 0
    for token in _NESTING.finditer(latex):
        depth += {"up": 1, "down": -1}.get(token.lastgroup or "", 0)
        deepest = max(deepest, depth)
    # Commands that take the next one as their argument nest without braces: \sqrt\sqrt\sqrt…
    return deepest > MAX_FORMULA_DEPTH or _COMMAND_RUN.search(latex) is not None


def _without_styles(mathml: str) -> str:
    mathml = _ENCLOSURE.sub(r'<mrow class="math-\1">', mathml).replace("</menclose>", "</mrow>")
    return _STYLE.sub(_style_to_class, mathml)


def _style_to_class(style: re.Match[str]) -> str:
    names = [name for declaration, name in _STYLE_CLASSES.items() if declaration in style[1]]
    return f' class="{" ".join(names)}"' if names else ""
