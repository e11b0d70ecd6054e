"""Parse rendered HTML and fail on anything that must never be in it."""

from html.parser import HTMLParser

from conversations.rendering.html_writer import MAX_DEPTH

VOID = {"br", "hr", "input"}
# Not imported on purpose: these lists check the renderer's own allow-list.
FORBIDDEN = {
    "script", "style", "link", "meta", "base", "iframe", "frame", "object", "embed", "applet", "form", "button",
    "select", "textarea", "img", "svg", "video", "audio", "source", "template", "noscript", "annotation-xml",
    "maction", "mglyph", "foreignobject", "title", "body", "html", "head", "marquee",
}  # fmt: skip
ATTRIBUTES = {
    "accent", "accentunder", "aria-label", "checked", "class", "columnspan", "data-language", "depth", "dir",
    "disabled", "display", "displaystyle", "fence", "form", "height", "href", "id", "largeop", "linethickness",
    "lspace", "mathvariant", "maxsize", "minsize", "movablelimits", "rel", "role", "rowspan", "rspace", "scope",
    "scriptlevel", "separator", "start", "stretchy", "symmetric", "tabindex", "target", "title", "type", "voffset",
    "width",
}  # fmt: skip


class Reader(HTMLParser):
    """Collect the elements and text of `html`. Fail on a forbidden node or wrong nesting."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.depth = 0
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        assert tag not in FORBIDDEN, tag
        assert attributes.keys() <= ATTRIBUTES, attributes
        if tag == "a":
            _check_link(attributes)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self._open.append(tag)
            self.depth = max(self.depth, len(self._open))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"a processing instruction: {data}")

    def named(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every `tag`."""
        return [attributes for name, attributes in self.elements if name == tag]


def _check_link(attributes: dict[str, str]) -> None:
    href = attributes.get("href", "#m1-note-")  # the sanitiser may have removed it
    assert href.startswith(("#m1-note-", "#m1-ref-")) or href.lower().startswith(("http://", "https://", "mailto:")), (
        href
    )
    assert attributes["rel"] == "noopener noreferrer nofollow"
    assert href.startswith("#") or attributes["target"] == "_blank"


def read(html: str) -> Reader:
    """Return the elements and text of `html`, which must have been rendered with the prefix m1."""
    reader = Reader(html)
    # Formulas have their own limits.
    if not reader.named("math"):
        assert reader.depth <= MAX_DEPTH + 5
    for _, attributes in reader.elements:
        assert attributes.get("id", "m1-").startswith("m1-")
    return reader
