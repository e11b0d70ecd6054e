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
MAX_UNSCROLLED_CHARACTERS: Final = 40
# At a bracket that nothing closes, math-core reads what follows twice: 0.9.0 takes half a second for "(" 24
# times, and would take hours for 40. Formulas with more brackets have them written in a way that it reads once.
MAX_OPENING_BRACKETS: Final = 8

# Noncharacters (Unicode 23.7) have no meaning in text that is exchanged, so they can mark places in it;
# `markdown.normalise` removes those that came with it.
_MARK, _END = "\ufdd0", "\ufdd1"
_PLACE = re.compile(f"{_MARK}([0-9]+){_END}")

_LEAD = r"^(?:[ \t>]|[-+*][ \t]|[0-9]{1,9}[.)][ \t])*+"
_TOKEN = re.compile(
    rf"""
      {_LEAD}(?P<fence>`{{3,}}(?![^\n]*`)|~{{3,}})(?=(?P<info>[^\n]*))
    | (?P<lead>{_LEAD})(?P<block>\$\$|\\\[)
    | (?P<blank>\n[ \t]*(?=\n))
    | (?P<escape>\\[\\$])
    | (?P<money>(?:(?<=[A-Za-z0-9])|(?<=[0-9][-\u2013/]))\$(?=[0-9]))
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
# With \newcommand, 2,000 characters became 4.9 MB of MathML, and a bracket could hide.
_DEFINITION = re.compile(r"\\(?:def|let|global|(?:new|renew|provide)command)(?![A-Za-z])")
_BRACKET = re.compile(
    r"""
      \\(?:left|right|middle|[bB]igg?[mr]?)(?![A-Za-z])\s*(?:\\[A-Za-z]+|\\.|.)
    | \\\\\s*\[[A-Za-z0-9. ]*\]
    | \\sqrt\s*\[
    | \\(?:text(?:rm|it|bf|sf|tt)?|mbox|operatorname)\s*\{[^{}]*\}
    | \\(?P<big>[bB]igg?)l(?![A-Za-z])\s*(?P<delimiter>\\[A-Za-z]+|\\.|.)
    | \\(?P<open>mathopen)(?![A-Za-z])
    | (?P<bracket>
        [(\[\u2308\u230a\u231c\u231e\u23b0\u2772\u27c5\u27e6\u27e8\u27ea\u27ec\u27ee\u2983\u2985\u2987\u2989\u298b]
      | [\u298d\u298f\u2991\u2993\u2995\u2997\u29d8\u29da\u29fc]
      | \\\{
      | \\(?:l(?:[vV]ert|ang|[aA]ngle|[bB]race|brack|ceil|floor|group|langle|lbracket|lparenthesis|moustache|paren)
        |ulcorner|llcorner)(?![A-Za-z])
      )\s*(?P<sign>[-+]?)
    | \\.
    """,
    re.VERBOSE | re.DOTALL,
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
# A length of ten and more, of whatever: a formula must not push itself out of its place.
_FAR = re.compile(
    r' (?:depth|height|linethickness|lspace|maxsize|minsize|rspace|voffset|width)="-?[0-9]{2,}[0-9.]*[a-z%]+"'
)
# \eqref links to an id of the formula's own choosing.
_REFERENCE = re.compile(r"</?a\b[^>]*>")
# MathML Core has no menclose; browsers show its content bare.
_ENCLOSURE = re.compile(r'<menclose notation="([a-z]+)">')

# What models write and math-core does not know; "\\tag" it knows in numbered environments only.
_MACROS: Final = {
    "mbox": r"\text{#1}",
    "pmb": r"\boldsymbol{#1}",
    "substack": r"\begin{matrix}#1\end{matrix}",
    "tag": r"\qquad(\text{#1})",
}
_ENVIRONMENTS: Final = {"{split}": "{aligned}", "{smallmatrix}": "{matrix}"}
_converter = LatexToMathML(
    fancy_error=False,
    macros=_MACROS,
    allow_unreliable_rendering=True,  # \widetilde and its kin: a short tilde beats source
)


class Formula(NamedTuple):
    """One formula: its LaTeX, whether it stands on its own line, and exactly what the source had.

    Without LaTeX it is a dollar sign that is money.
    """

    latex: str
    display: bool
    source: str
    complete: bool = True

    def html(self) -> str:
        """Return the formula as MathML, or as its source while its end is missing."""
        if not self.latex:
            return escape(self.source, quote=False)
        return to_html(self.latex, display=self.display) if self.complete else _as_source(self.latex)


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
    if not any(sign in text for sign in ("$", r"\(", r"\[")):
        return Protected(text, ())
    formulas: list[Formula] = []
    out: list[str] = []
    written = 0
    fence = ""
    opening: _Opening | None = None
    for token in _TOKEN.finditer(text):
        kind = "fence" if token["fence"] else token.lastgroup
        found = token[kind]
        if kind == "fence":
            if not fence:
                fence = found
            elif found.startswith(fence) and not token["info"].strip():
                fence = ""
            opening = None
        elif fence or kind == "escape":
            continue
        elif kind in ("blank", "code"):
            opening = None
        elif kind == "money":
            # Markdown's parser would take "US$5 to US$10" for a formula. In one of ours, it is part of it.
            if opening is None:
                out += (text[written : token.start()], f"{_MARK}{len(formulas)}{_END}")
                written = token.end()
                formulas.append(Formula("", display=False, source="$"))
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


def to_html(latex: str, *, display: bool) -> str:
    """Return what `to_mathml` does, in an element that scrolls if it is long and in a line: no browser breaks it."""
    mathml = to_mathml(latex, display=display)
    return mathml if display or len(latex) <= MAX_UNSCROLLED_CHARACTERS else f'<span class="formula">{mathml}</span>'


@lru_cache(maxsize=2_048)
def to_mathml(latex: str, *, display: bool) -> str:
    """Return `latex` as a MathML element, or as escaped source in ``<code class="math">`` if it cannot be
    converted.

    Formulas over `MAX_FORMULA_CHARACTERS` or `MAX_FORMULA_DEPTH` are not tried, nor those that define commands.
    Cached, because the open end of a streaming answer is rendered again and again.
    """
    latex = latex.replace(JOIN, "")
    if len(latex) <= MAX_FORMULA_CHARACTERS and not _is_too_deep(latex) and not _DEFINITION.search(latex):
        known = _with_bounded_brackets(latex)
        for unknown, name in _ENVIRONMENTS.items():
            known = known.replace(unknown, name)
        try:
            return _without_styles(_converter.convert_with_local_state(known, displaystyle=display))
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


def _with_bounded_brackets(latex: str) -> str:
    r"""Return `latex` with its opening brackets as ordinary characters if there are more than is safe."""
    opening = sum(any((token["big"], token["open"], token["bracket"])) for token in _BRACKET.finditer(latex))
    return latex if opening <= MAX_OPENING_BRACKETS else _BRACKET.sub(_bounded, latex)


def _bounded(token: re.Match[str]) -> str:
    if token["bracket"]:
        # After an ordinary character, a sign would stand between two terms.
        sign = f"{{{token['sign']}}}" if token["sign"] else ""
        return rf"\mathord{{\middle{token['bracket']}}}{sign}"
    if token["big"]:
        return rf"\{token['big']}{token['delimiter']}"
    return r"\mathord" if token["open"] else token[0]


def _without_styles(mathml: str) -> str:
    mathml = _FAR.sub("", _REFERENCE.sub("", mathml))
    mathml = _ENCLOSURE.sub(r'<mrow class="math-\1">', mathml).replace("</menclose>", "</mrow>")
    return _STYLE.sub(_style_to_class, mathml)


def _style_to_class(style: re.Match[str]) -> str:
    names = [name for declaration, name in _STYLE_CLASSES.items() if declaration in style[1]]
    return f' class="{" ".join(names)}"' if names else ""
