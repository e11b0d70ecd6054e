"""The last word on every piece of HTML that leaves this package: an allow-list, enforced by nh3."""

import re
from typing import Final

import nh3

from conversations.rendering import joins

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
    "pre": {"tabindex": {"0"}},  # code that is wider than the page is scrolled by keyboard too
    "input": {"type": {"checkbox"}},
    "th": {"scope": {"col"}},
}
_IN_PAGE = re.compile(r"#[A-Za-z0-9-]+-(?:note|ref)-[0-9-]+\Z")

_cleaner = nh3.Cleaner(
    tags=_MATHML | set(_HTML),
    attributes=_HTML | dict.fromkeys(_MATHML, _MATHML_ATTRIBUTES),
    tag_attribute_values=_FIXED_VALUES,
    # Never reached by what we emit; if a script element ever were, its text would go with it.
    clean_content_tags={"script", "style"},
    generic_attribute_prefixes=None,
    link_rel=LINK_RELATION,
    url_schemes={"http", "https", "mailto"},
    url_relative=lambda url: url if _IN_PAGE.match(url) else None,
)


def sanitise(html: str) -> str:
    """Return `html`, a fragment that may stand in a `div`, without what is not allowed, and its joins as marks."""
    return joins.show(_cleaner.clean(html))
