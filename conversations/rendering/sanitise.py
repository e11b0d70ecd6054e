"""The allow-list for all HTML that leaves this package, enforced by nh3."""

import re
from typing import Final

import nh3

from conversations.rendering import continuation_marks

LINK_RELATION: Final = "noopener noreferrer nofollow"

_MATHML: Final = {
    "math", "merror", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom", "mprescripts",
    "mroot", "mrow", "ms", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr",
    "munder", "munderover",
}  # fmt: skip
_MATHML_ATTRIBUTES: Final = {
    "accent", "accentunder", "class", "columnspan", "depth", "display", "displaystyle", "fence", "form", "height",
    "largeop", "linethickness", "lspace", "mathvariant", "maxsize", "minsize", "movablelimits", "rowspan", "rspace",
    "scriptlevel", "separator", "stretchy", "symmetric", "voffset", "width",
}  # fmt: skip
_HTML: Final = {
    "a": {"aria-label", "class", "href", "id", "title"},
    "blockquote": {"class", "dir"},
    "br": set(),
    "code": {"class", "id"},
    "del": set(),
    "div": {"aria-label", "class", "id"},
    "em": set(),
    "figcaption": set(),
    "figure": {"class", "data-language"},
    "h3": {"dir"},
    "h4": {"dir"},
    "h5": {"dir"},
    "h6": {"dir"},
    "hr": set(),
    "input": {"aria-label", "checked", "disabled"},
    "li": {"dir", "id"},
    "ol": {"id", "start"},
    "p": {"class", "dir", "id"},
    "pre": {"class", "dir"},
    "span": {"class", "title"},
    "strong": set(),
    "sup": set(),
    "table": {"dir"},
    "tbody": {"id"},
    "td": {"class"},
    "th": {"class"},
    "thead": set(),
    "tr": set(),
    "ul": {"id"},
}
_FIXED_VALUES: Final = {
    "a": {"target": {"_blank"}},
    "div": {"role": {"group"}, "tabindex": {"0"}},
    "pre": {"tabindex": {"0"}},  # so that wide code can be scrolled with the keyboard
    "input": {"type": {"checkbox"}},
    "th": {"scope": {"col"}},
}
_IN_PAGE = re.compile(r"#[A-Za-z0-9-]+-(?:note|ref)-[0-9-]+\Z")

_cleaner = nh3.Cleaner(
    tags=_MATHML | set(_HTML),
    attributes=_HTML | dict.fromkeys(_MATHML, _MATHML_ATTRIBUTES),
    tag_attribute_values=_FIXED_VALUES,
    # The writer never writes these. If it ever did, their text would be removed as well.
    clean_content_tags={"script", "style"},
    generic_attribute_prefixes=None,
    link_rel=LINK_RELATION,
    url_schemes={"http", "https", "mailto"},
    url_relative=lambda url: url if _IN_PAGE.match(url) else None,
)


def sanitise(html: str) -> str:
    """Return `html`, flow content, without what is not allowed, and with elements for its continuation marks."""
    return continuation_marks.to_html(_cleaner.clean(html))
