"""Render Markdown as safe HTML, for pages, streams, review and export alike.

GitHub's Markdown (tables, task lists, strikethrough, footnotes, alerts, bare URLs), highlighted code, and mathematics
as MathML. Raw HTML is shown as text. `html_writer` writes the markup and `sanitise` decides what is allowed.
"""

import re
from html import escape
from typing import Final

from conversations.rendering.blocks import PARSER
from conversations.rendering.continuation_marks import MARK
from conversations.rendering.html_writer import HtmlWriter
from conversations.rendering.mathematics import protect
from conversations.rendering.sanitise import sanitise

# The parser is linear (10 MB of "[" take 2 s), but a megabyte of the densest markup would keep a process busy for
# seconds.
MAX_CHARACTERS: Final = 500_000

# Part of the key of cached HTML: increase it with each change of what `render` returns.
VERSION: Final = 2

_UNWANTED = re.compile("[\0\ud800-\udfff\ufdd0-\ufdef]")


def render(text: str, *, prefix: str, highlighted: bool = True) -> str:
    """Return `text` as safe HTML. `prefix` (letters, digits, hyphens) begins every id, which makes it unique in a page.

    `highlighted` is whether code is. Text longer than `MAX_CHARACTERS` is not parsed, see `preformatted`.
    """
    if len(text) > MAX_CHARACTERS:
        return preformatted(text)
    source = protect(normalise(text))
    writer = HtmlWriter(prefix, source, highlighted=highlighted)
    writer.write(PARSER.events(source.text))
    return sanitise(writer.html())


def preformatted(text: str) -> str:
    """Return the source `text`, escaped, as one preformatted block."""
    return f'<pre class="plain" dir="auto">\n{escape(normalise(text).replace(MARK, ""), quote=False)}</pre>\n'


def normalise(text: str) -> str:
    r"""Return `text` with "\n" as its only line ending, and with U+FFFD for characters that the parser must not get.

    These are NUL, surrogates, which cannot be encoded, and the noncharacters that `mathematics` uses.
    """
    return _UNWANTED.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
