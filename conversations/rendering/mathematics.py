r"""Find formulas in Markdown source and convert LaTeX to MathML.

The Markdown parser knows ``$…$`` and ``$$…$$``. Models also write ``\(…\)`` and ``\[…\]``, which it would unescape to
bare brackets, and displayed formulas of several lines, where a line that starts with ``-`` or ``=`` would become a list
or a heading. `protect` replaces such formulas before parsing by placeholders, which Markdown treats as letters, and
`ProtectedSource` puts them back.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Final, NamedTuple

from math_core import LatexError, LatexToMathML

from conversations.rendering.continuation_marks import MARK

# math-core recurses, and a stack overflow ends the process. Measured with 0.9.0: a level takes about 2.7 kB, and glibc
# gives a thread 8 MB. 2,000 characters can nest 400 levels at most; nobody reads more than 100.
MAX_FORMULA_CHARACTERS: Final = 2_000
MAX_FORMULA_DEPTH: Final = 100
MAX_UNSCROLLED_CHARACTERS: Final = 40
# At an unclosed bracket, math-core parses the rest twice: 0.9.0 takes half a second for 24 times "(" and would take
# hours for 40. In formulas with more brackets than this, they are rewritten in a form that it parses once.
MAX_OPENING_BRACKETS: Final = 8

# Noncharacters (Unicode 23.7) have no meaning in exchanged text. `markdown.normalise` removes those in the source.
_PLACEHOLDER_START, _PLACEHOLDER_END = "\ufdd0", "\ufdd1"
_PLACEHOLDER = re.compile(f"{_PLACEHOLDER_START}([0-9]+){_PLACEHOLDER_END}")

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
# With \newcommand, 2,000 characters became 4.9 MB of MathML, and a definition could hide brackets.
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

# The content security policy forbids style attributes. Those of math-core's that carry meaning become classes; colours
# and widths are dropped.
_STYLE = re.compile(r' style="([^"]*)"')
_STYLE_CLASSES: Final = {
    "text-align: left": "math-left",
    "text-align: right": "math-right",
    "border-left": "math-line-left",
    "border-right": "math-line-right",
    "border-top": "math-line-top",
    "border-bottom": "math-line-bottom",
}
# A length of ten or more, in any unit: it could move the formula over other content.
_LONG_LENGTH = re.compile(
    r' (?:depth|height|linethickness|lspace|maxsize|minsize|rspace|voffset|width)="-?[0-9]{2,}[0-9.]*[a-z%]+"'
)
# \eqref links to an id that the formula chooses.
_REFERENCE = re.compile(r"</?a\b[^>]*>")
# MathML Core has no menclose: browsers show only its content.
_ENCLOSURE = re.compile(r'<menclose notation="([a-z]+)">')

# Commands that models write and math-core does not know. It knows \tag in numbered environments only.
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
    allow_unreliable_rendering=True,  # such as \widetilde: a short tilde is better than source
)


class Formula(NamedTuple):
    """A formula: its LaTeX, whether it is displayed on its own line, and its exact source.

    Without LaTeX it is a dollar sign that means money.
    """

    latex: str
    display: bool
    source: str
    complete: bool = True

    def html(self) -> str:
        """Return the formula as MathML, or as source while it is incomplete."""
        if not self.latex:
            return escape(self.source, quote=False)
        return to_html(self.latex, display=self.display) if self.complete else _as_source(self.latex)


@dataclass(frozen=True, slots=True)
class ProtectedSource:
    """Source with placeholders for its formulas, and the formulas in order."""

    text: str
    formulas: tuple[Formula, ...]

    def restore(self, text: str) -> str:
        """Return the original of `text`, which is any part of the protected source."""
        if _PLACEHOLDER_START not in text:
            return text
        return _PLACEHOLDER.sub(lambda match: self.formulas[int(match[1])].source, text)

    def split(self, text: str) -> list[str | Formula]:
        """Return `text` as alternating strings and formulas. The first and last are strings, perhaps empty."""
        if _PLACEHOLDER_START not in text:
            return [text]
        parts = _PLACEHOLDER.split(text)
        return [self.formulas[int(part)] if index % 2 else part for index, part in enumerate(parts)]


class _Opening(NamedTuple):
    start: int
    delimiter: str
    starts_line: bool
    quoted: bool


def protect(text: str, *, streaming: bool = False) -> ProtectedSource:
    r"""Replace ``\(…\)``, ``\[…\]`` and any ``$$…$$`` that starts a line by placeholders, except in code.

    One pass, linear in `text`. A formula has no blank line and no backtick, and no line break unless it starts a line.
    Brackets that are escaped rather than mathematical stay: ``f\(x\)`` after a letter, ``\[a\](b)``, and ``\[note\]``
    inside a line without a character that only LaTeX has. With `streaming`, a formula that starts a line may be
    incomplete at the end of the text.
    """
    if not any(sign in text for sign in ("$", r"\(", r"\[")):
        return ProtectedSource(text, ())
    formulas: list[Formula] = []
    out: list[str] = []
    written = 0
    fence = ""
    opening: _Opening | None = None
    for token in _TOKEN.finditer(text):
        kind = "fence" if token["fence"] else token.lastgroup or ""
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
            # The parser would take "US$5 to US$10" for a formula. Inside a formula the sign belongs to it.
            if opening is None:
                out += (text[written : token.start()], f"{_PLACEHOLDER_START}{len(formulas)}{_PLACEHOLDER_END}")
                written = token.end()
                formulas.append(Formula("", display=False, source="$"))
        elif opening and found == _CLOSING[opening.delimiter]:
            formula = _formula(text, opening, token.end())
            if formula:
                out += (text[written : opening.start], f"{_PLACEHOLDER_START}{len(formulas)}{_PLACEHOLDER_END}")
                written = token.end()
                formulas.append(formula)
            opening = None
        elif (kind == "block" or found in (r"\(", r"\[")) and not (opening and opening.delimiter == "$$"):
            quoted = kind == "block" and ">" in token["lead"]
            opening = _Opening(token.start(kind), found, kind == "block", quoted)
    if streaming and opening and opening.starts_line and len(text) - opening.start <= MAX_FORMULA_CHARACTERS:
        out += (text[written : opening.start], f"{_PLACEHOLDER_START}{len(formulas)}{_PLACEHOLDER_END}")
        source = text[opening.start :]
        formulas.append(Formula(source[2:], True, source, complete=False))
        written = len(text)
    out.append(text[written:])
    return ProtectedSource("".join(out), tuple(formulas))


def _formula(text: str, opening: _Opening, end: int) -> Formula | None:
    latex = text[opening.start + 2 : end - 2]
    before, after = text[opening.start - 1 : opening.start], text[end : end + 1]
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
    return Formula(latex, opening.delimiter != r"\(", text[opening.start : end])


def to_html(latex: str, *, display: bool) -> str:
    """Return `to_mathml(latex)`. A long formula inside a line gets an element that scrolls, because it cannot wrap."""
    mathml = to_mathml(latex, display=display)
    return mathml if display or len(latex) <= MAX_UNSCROLLED_CHARACTERS else f'<span class="formula">{mathml}</span>'


@lru_cache(maxsize=2_048)
def to_mathml(latex: str, *, display: bool) -> str:
    """Return `latex` as a MathML element, or as escaped source in ``<code class="math">`` if it cannot be converted.

    Formulas over `MAX_FORMULA_CHARACTERS` or `MAX_FORMULA_DEPTH`, or that define commands, are not converted. The cache
    serves the tail of a streamed answer, which is rendered many times.
    """
    latex = latex.replace(MARK, "")
    if len(latex) <= MAX_FORMULA_CHARACTERS and not _is_too_deep(latex) and not _DEFINITION.search(latex):
        converted = _with_bounded_brackets(latex)
        for unknown, known in _ENVIRONMENTS.items():
            converted = converted.replace(unknown, known)
        try:
            return _without_styles(_converter.convert_with_local_state(converted, displaystyle=display))
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
    # A command that takes the next one as its argument nests without braces: \sqrt\sqrt\sqrt…
    return deepest > MAX_FORMULA_DEPTH or _COMMAND_RUN.search(latex) is not None


def _with_bounded_brackets(latex: str) -> str:
    r"""Return `latex` with its opening brackets as ordinary characters if there are too many of them."""
    opening = sum(any((token["big"], token["open"], token["bracket"])) for token in _BRACKET.finditer(latex))
    return latex if opening <= MAX_OPENING_BRACKETS else _BRACKET.sub(_bounded, latex)


def _bounded(token: re.Match[str]) -> str:
    if token["bracket"]:
        # After an ordinary character, a sign would be typeset as a binary operator.
        sign = f"{{{token['sign']}}}" if token["sign"] else ""
        return rf"\mathord{{\middle{token['bracket']}}}{sign}"
    if token["big"]:
        return rf"\{token['big']}{token['delimiter']}"
    return r"\mathord" if token["open"] else token[0]


def _without_styles(mathml: str) -> str:
    mathml = _LONG_LENGTH.sub("", _REFERENCE.sub("", mathml))
    mathml = _ENCLOSURE.sub(r'<mrow class="math-\1">', mathml).replace("</menclose>", "</mrow>")
    return _STYLE.sub(_style_to_class, mathml)


def _style_to_class(style: re.Match[str]) -> str:
    names = [name for declaration, name in _STYLE_CLASSES.items() if declaration in style[1]]
    return f' class="{" ".join(names)}"' if names else ""
