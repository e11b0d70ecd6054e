"""Markdown to safe HTML: the one renderer of page, stream, review and export.

GitHub's Markdown (tables, task lists, strikethrough, footnotes, alerts, bare addresses), highlighted code and
mathematics as MathML. Raw HTML is shown as text. See `emit` for the markup and `sanitise` for what may pass.
"""

import re
from html import escape
from typing import Final

from conversations.rendering.blocks import PARSER
from conversations.rendering.emit import Emitter
from conversations.rendering.joins import JOIN
from conversations.rendering.mathematics import protect
from conversations.rendering.sanitise import sanitise

# The parser is linear (10 MB of "[" take 2 s), but a megabyte of the densest markup would keep a process busy
# for seconds.
MAX_CHARACTERS: Final = 500_000

_UNWANTED = re.compile("[\0\ud800-\udfff\ufdd0-\ufdef]")


def render(text: str, *, prefix: str) -> str:
    """Return `text` as safe HTML. `prefix` (letters, digits, hyphens) begins every id in it, so that it is
    unique in the page.

    A text over `MAX_CHARACTERS` comes back as it is, see `plain`.
    """
    if len(text) > MAX_CHARACTERS:
        return plain(text)
    source = protect(normalise(text))
    emitter = Emitter(prefix, source)
    emitter.write(PARSER.events(source.text))
    return sanitise(emitter.html())


def plain(text: str) -> str:
    """Return `text` escaped, as one preformatted block."""
    return f'<pre class="plain" dir="auto">\n{escape(normalise(text).replace(JOIN, ""), quote=False)}</pre>\n'


def normalise(text: str) -> str:
    r"""Return `text` with "\n" as its only line ending, and U+FFFD for what no parser may see.

    That is NUL, surrogates, which cannot be encoded, and the noncharacters that `mathematics` uses.
    """
    return _UNWANTED.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
