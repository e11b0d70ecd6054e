"""Code blocks: a figure with its language, and Pygments' short class names on the tokens."""

from functools import lru_cache
from html import escape
from typing import Final

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import LEXERS, find_lexer_class

from conversations.rendering import joins

# Pygments takes 1.5 to 2.5 ms for 1,000 characters; past this the colours are not worth the wait.
MAX_HIGHLIGHTED_CHARACTERS: Final = 50_000
MAX_LANGUAGE_CHARACTERS: Final = 40

_formatter = HtmlFormatter(nowrap=True)
# Pygments' own look-up searches installed plug-ins for every name it does not know.
_NAMES: Final = {alias.lower(): name for _, name, aliases, _, _ in LEXERS.values() for alias in aliases}


def code_block(code: str, language: str, *, highlighted: bool = True) -> str:
    """Return `code` as a figure whose caption is `language`, or "text" if that is empty."""
    code, places = joins.take_out(code)
    inner = code_to_html(code, language) if highlighted else escape(code, quote=False)
    return f"{code_block_start(language)}<code>{joins.put_in(inner, places)}</code></pre></figure>\n"


def code_block_start(language: str) -> str:
    """Return the opening of a code block's figure, up to where its code element begins."""
    name = escape(language.replace(joins.JOIN, "")[:MAX_LANGUAGE_CHARACTERS] or "text")
    caption = f"<figcaption><span>{name}</span></figcaption>"
    return f'<figure class="code" data-language="{name}">{caption}<pre tabindex="0">'


def code_to_html(code: str, language: str) -> str:
    """Return `code` as escaped HTML, with spans for its tokens if `language` is a name Pygments knows."""
    lexer_class = _lexer_class(language.lower())
    if lexer_class is None or len(code) > MAX_HIGHLIGHTED_CHARACTERS:
        return escape(code, quote=False)
    # The defaults strip blank lines at both ends and append a newline; an answer's code stays as it is.
    return highlight(code, lexer_class(stripnl=False, ensurenl=False), _formatter)


@lru_cache(maxsize=256)
def _lexer_class(language: str) -> type[Lexer] | None:
    name = _NAMES.get(language)
    return find_lexer_class(name) if name else None
