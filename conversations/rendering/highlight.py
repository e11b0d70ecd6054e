"""Code blocks: a figure with the language as its caption, and Pygments' short class names on the tokens."""

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

from conversations.rendering import continuation_marks

# Pygments takes about 2 ms for 1,000 characters. Longer code is not worth the wait.
MAX_HIGHLIGHTED_CHARACTERS: Final = 50_000
# Some lexers take quadratic time for hostile code (C: 12,000 blank lines). The limit is ten times the usual time, plus
# the time to load further lexers (HTML loads those of CSS and JavaScript).
MAX_SECONDS_PER_CHARACTER: Final = 20e-6
MAX_SECONDS: Final = 0.5
MAX_LANGUAGE_CHARACTERS: Final = 40
# Every group of lines is an element. While code grows, the browser only lays out the last group, and highlighted groups
# can replace it a few at a time. No token in Pygments' HTML spans a line end.
LINES_PER_GROUP: Final = 50
LINE_GROUP_START: Final = '<span class="lines">'
# Embeddings, overrides and isolates (Unicode 23.2) make code look different from what it runs (CVE-2021-42574).
_REORDERING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")

# Pygments' class names that `prose.css` styles. Other tokens, about half of all, need no element.
STYLED_TOKENS: Final = {
    "k", "kc", "kd", "kn", "kp", "kr", "kt", "ow", "nt", "s", "sa", "sb", "sc", "dl", "sd", "s2", "se", "sh",
    "si", "sx", "sr", "s1", "ss", "gi", "m", "mb", "mf", "mh", "mi", "il", "mo", "na", "nd", "ni", "no", "c",
    "ch", "cm", "cp", "cpf", "c1", "cs", "gp", "gu", "gd", "gr", "gh", "gs", "nf", "fm", "nc", "ge",
}  # fmt: skip

_formatter = HtmlFormatter(nowrap=True)
# Pygments' own lookup searches the installed plug-ins for every unknown name.
_LEXER_NAMES: Final = {alias.lower(): name for _, name, aliases, _, _ in LEXERS.values() for alias in aliases}


def code_block(code: str, language: str, *, highlighted: bool = True) -> str:
    """Return `code` as a figure whose caption is `language`, or "text" if that is empty."""
    code, marks = continuation_marks.extract(code)
    inner = code_to_html(code, language) if highlighted else escape(code, quote=False)
    inner = _in_groups(show_reordering(continuation_marks.restore(inner, marks)))
    return f"{code_block_start(language)}<code>{inner}</code></pre></figure>\n"


def code_block_start(language: str) -> str:
    """Return the start of a code block's figure, up to its code element."""
    name = escape(language.replace(continuation_marks.MARK, "")[:MAX_LANGUAGE_CHARACTERS] or "text")
    caption = f"<figcaption><span>{name}</span></figcaption>"
    return f'<figure class="code" data-language="{name}">{caption}<pre tabindex="0">'


def _in_groups(html: str) -> str:
    lines = re.findall(r"[^\n]*\n|[^\n]+", html)
    groups = ("".join(lines[first : first + LINES_PER_GROUP]) for first in range(0, len(lines), LINES_PER_GROUP))
    return "".join(f"{LINE_GROUP_START}{group}</span>" for group in groups)


def show_reordering(html: str) -> str:
    """Return escaped code with an element around every character that reorders text.

    The style sheet isolates the element, so that the character has no effect, and shows its number. Copied code is
    unchanged.
    """
    return _REORDERING.sub(lambda match: f'<span class="bidi" title="U+{ord(match[0]):04X}">{match[0]}</span>', html)


def code_to_html(code: str, language: str) -> str:
    """Return `code` as escaped HTML, with spans for its tokens if Pygments knows `language`.

    There are no spans if the code is too long or its lexer too slow. The time is checked after every token.
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
    # The defaults would strip blank lines at both ends and append a newline.
    lexer = lexer_class(stripnl=False, ensurenl=False)
    # CPU time of this thread: a busy machine must not change the result.
    deadline = time.thread_time() + MAX_SECONDS + MAX_SECONDS_PER_CHARACTER * len(code)
    for kind, text in lexer.get_tokens(code):
        if time.thread_time() > deadline:
            raise TimeoutError
        yield (kind if STANDARD_TYPES.get(kind) in STYLED_TOKENS else Text), text


@lru_cache(maxsize=256)
def _lexer_class(language: str) -> type[Lexer] | None:
    name = _LEXER_NAMES.get(language)
    return find_lexer_class(name) if name else None
