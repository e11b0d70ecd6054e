"""Code blocks: a figure with its language, and Pygments' short class names on the tokens."""

import re
import time
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from io import StringIO
from typing import Any, Final

from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import LEXERS, find_lexer_class
from pygments.token import STANDARD_TYPES, Text

from conversations.rendering import joins

# Pygments takes about 2 ms for 1,000 characters; past this the colours are not worth the wait.
MAX_HIGHLIGHTED_CHARACTERS: Final = 50_000
# Some lexers take quadratic time over code made for it (C: 12,000 blank lines). They get ten times the usual,
# and what it takes to load another lexer on the way (HTML loads those of CSS and JavaScript).
SECONDS_PER_CHARACTER: Final = 20e-6
SECONDS_AT_LEAST: Final = 0.5
MAX_LANGUAGE_CHARACTERS: Final = 40
# Lines of code in an element of their own: only the last ones are laid out anew while code grows, and those that
# got colours are swapped a few at a time. No token of Pygments' HTML goes on over a line's end.
LINES: Final = 50
LINES_START: Final = '<span class="lines">'
# Embeddings, overrides and isolates (Unicode 23.2): with them code reads otherwise than it runs (CVE-2021-42574).
_REORDERING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")

# Pygments' class names that `prose.css` gives a look. Other tokens, half of them all, need no element.
LOOKS: Final = {
    "k", "kc", "kd", "kn", "kp", "kr", "kt", "ow", "nt", "s", "sa", "sb", "sc", "dl", "sd", "s2", "se", "sh",
    "si", "sx", "sr", "s1", "ss", "gi", "m", "mb", "mf", "mh", "mi", "il", "mo", "na", "nd", "ni", "no", "c",
    "ch", "cm", "cp", "cpf", "c1", "cs", "gp", "gu", "gd", "gr", "gh", "gs", "nf", "fm", "nc", "ge",
}  # fmt: skip

_formatter = HtmlFormatter(nowrap=True)
# Pygments' own look-up searches installed plug-ins for every name it does not know.
_NAMES: Final = {alias.lower(): name for _, name, aliases, _, _ in LEXERS.values() for alias in aliases}


def code_block(code: str, language: str, *, highlighted: bool = True) -> str:
    """Return `code` as a figure whose caption is `language`, or "text" if that is empty."""
    code, places = joins.take_out(code)
    inner = code_to_html(code, language) if highlighted else escape(code, quote=False)
    inner = _grouped(show_reordering(joins.put_in(inner, places)))
    return f"{code_block_start(language)}<code>{inner}</code></pre></figure>\n"


def code_block_start(language: str) -> str:
    """Return the opening of a code block's figure, up to where its code element begins."""
    name = escape(language.replace(joins.JOIN, "")[:MAX_LANGUAGE_CHARACTERS] or "text")
    caption = f"<figcaption><span>{name}</span></figcaption>"
    return f'<figure class="code" data-language="{name}">{caption}<pre tabindex="0">'


def _grouped(html: str) -> str:
    lines = re.findall(r"[^\n]*\n|[^\n]+", html)
    groups = ("".join(lines[at : at + LINES]) for at in range(0, len(lines), LINES))
    return "".join(f"{LINES_START}{group}</span>" for group in groups)


def show_reordering(html: str) -> str:
    """Return escaped code with every character that reorders text in an element of its own.

    The style sheet isolates it there, so that it does nothing, and shows its name. The code itself stays as it is.
    """
    return _REORDERING.sub(lambda found: f'<span class="bidi" title="U+{ord(found[0]):04X}">{found[0]}</span>', html)


def code_to_html(code: str, language: str) -> str:
    """Return `code` as escaped HTML, with spans for its tokens if `language` is a name Pygments knows.

    No spans either if the code is too long, or its lexer too slow: the time is checked between tokens.
    """
    lexer_class = _lexer_class(language.lower())
    if lexer_class is None or len(code) > MAX_HIGHLIGHTED_CHARACTERS:
        return escape(code, quote=False)
    html = StringIO()
    try:
        _formatter.format(_tokens(code, lexer_class), html)
    except TimeoutError:
        return escape(code, quote=False)
    return html.getvalue()


def _tokens(code: str, lexer_class: type[Lexer]) -> Iterator[tuple[Any, str]]:
    # The defaults strip blank lines at both ends and append a newline; an answer's code stays as it is.
    lexer = lexer_class(stripnl=False, ensurenl=False)
    # Of this thread's own work: what else the machine does must not take the colours away.
    deadline = time.thread_time() + SECONDS_AT_LEAST + SECONDS_PER_CHARACTER * len(code)
    for kind, text in lexer.get_tokens(code):
        if time.thread_time() > deadline:
            raise TimeoutError
        yield (kind if STANDARD_TYPES.get(kind) in LOOKS else Text), text


@lru_cache(maxsize=256)
def _lexer_class(language: str) -> type[Lexer] | None:
    name = _NAMES.get(language)
    return find_lexer_class(name) if name else None
