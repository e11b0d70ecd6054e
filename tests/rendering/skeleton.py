"""Reduce HTML to elements, attributes with a meaning, and text, to compare two renderers."""

import re
from html.parser import HTMLParser

MEANING = {"href", "title", "start", "checked", "align"}
HEADING = re.compile("h([1-6])")
ALIGNMENT = re.compile(r"align-(left|center|right)")


class _Skeleton(HTMLParser):
    """Parse HTML of this site (`ours`) or of GitHub's reference implementation into the same form."""

    def __init__(self, html: str, *, ours: bool) -> None:
        super().__init__()
        self.found: list[str] = []
        self._ours = ours
        self._language = ""
        self._in_caption = False
        self._outer_headings: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "figure":
            self._language = attributes["data-language"].removeprefix("text")
        self._in_caption = self._in_caption or tag == "figcaption"
        if tag in {"figure", "figcaption", "div", "span"}:
            return
        classes = attributes.pop("class", "")
        if tag == "code" and (self._language or classes):
            attributes["title"] = self._language or classes.removeprefix("language-")
            self._language = ""
        if alignment := ALIGNMENT.fullmatch(classes):
            attributes["align"] = alignment[1]
        kept = "".join(f" {name}={attributes[name]}" for name in sorted(MEANING & attributes.keys()))
        if heading := HEADING.fullmatch(tag):
            # The page has its own h1 and h2, and its headings have no gaps.
            level = int(heading[1])
            self._outer_headings = [outer for outer in self._outer_headings if outer < level] + [level]
            self._heading = f"h{level if self._ours else min(len(self._outer_headings) + 2, 6)}"
        self.found.append(f"<{self._name(tag)}{kept}>")

    def handle_endtag(self, tag: str) -> None:
        if tag == "figcaption":
            self._in_caption = False
        elif tag not in {"figure", "div", "span", "br", "hr", "input"}:
            self.found.append(f"</{self._name(tag)}>")

    def handle_data(self, data: str) -> None:
        if not self._in_caption:
            self.found.append(data)

    def _name(self, tag: str) -> str:
        return self._heading if HEADING.fullmatch(tag) else tag


def skeleton(html: str, *, ours: bool) -> list[str]:
    """Return the tags and texts of `html` in order, without line ends before a tag."""
    found = _Skeleton(html, ours=ours).found
    joined: list[str] = []
    for part in found:
        if joined and not part.startswith("<") and not joined[-1].startswith("<"):
            joined[-1] += part
        else:
            joined.append(part)
    return [part.rstrip("\n") for part in joined if part.strip()]
