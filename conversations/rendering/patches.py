"""The smallest changes that turn the HTML a page was streamed into the final HTML.

Only what differs is replaced: blocks, and inside a long block (code that is highlighted now, a list) single lines or
items. So what is being read stays where it is, and a slow connection or page does not have much to do at once.
"""

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Final, NamedTuple

# Characters of HTML in one patch. Elements and text are split, but a table or a formula is not.
MAX_PATCH: Final = 24_000

# As the sanitiser writes it: well nested, values in double quotes.
_TAG = re.compile(r'<(?P<end>/?)(?P<name>[a-z0-9]+)(?:[^">]|"[^"]*")*>')
_TEXT = re.compile(rf"(?:&[a-z]+;|[^&]){{1,{MAX_PATCH // 8}}}")
_VOID: Final = {"br", "hr", "input"}
_NEVER_SPLIT: Final = {"math", "table"}


class Patch(NamedTuple):
    """Apply `html` with the htmx swap style `swap` at `selector`, relative to the answer's container.

    Patches apply in order: each selector assumes the patches before it. An element is replaced itself, not filled
    anew, because htmx spends time on every direct child of what it swaps.
    """

    swap: str
    selector: str
    html: str


def diff(streamed: str, final: str) -> list[Patch]:
    """Return the patches that turn `streamed` into `final`, two renderings of one answer."""
    old, new = elements(streamed), elements(final)
    same = _common_length(old, new)
    same_at_end = _common_length(old[: same - 1 if same else None : -1], new[: same - 1 if same else None : -1])
    old, new = old[same : len(old) - same_at_end], new[same : len(new) - same_at_end]
    patches: list[Patch] = []
    for number, (before, after) in enumerate(zip(old, new, strict=False), same + 1):
        patches += _replace("", number, before, after)
    last = same + len(new)
    for _ in old[len(new) :]:
        patches.append(Patch("delete", _child(last + 1), ""))
    for number, element in enumerate(new[len(old) :], same + len(old)):
        patches += _insert("", number, element)
    return patches


def elements(html: str) -> list[str]:
    """Return the top-level elements of `html`."""
    return [node for node in _nodes(html) if not node.isspace()]


def _nodes(html: str) -> Iterator[str]:
    """Yield the top-level elements and texts of `html`."""
    depth = start = 0
    for tag in _TAG.finditer(html):
        if depth == 0 and tag.start() > start:
            yield html[start : tag.start()]
            start = tag.start()
        if tag["name"] not in _VOID:
            depth += -1 if tag["end"] else 1
        if depth == 0:
            yield html[start : tag.end()]
            start = tag.end()
    if start < len(html):
        yield html[start:]


def _common_length(one: list[str], other: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _replace(parent: str, number: int, before: str, after: str) -> list[Patch]:
    """Return the patches that turn child `number` (from 1) of `parent`, which is `before`, into `after`."""
    if before == after:
        return []
    selector = parent + _child(number)
    if not _is_split(after):
        return [Patch("outerHTML", selector, after)]
    start_tag, inner, _ = _split_tags(after)
    if _start_tag(before)[0] != start_tag:
        return [*_insert(parent, number, after), Patch("delete", selector, "")]
    if pairs := _pairs(_split_tags(before)[1], inner):
        children = enumerate(((old, new) for old, new in pairs if new.startswith("<")), 1)
        return [patch for child, (old, new) in children for patch in _replace(selector, child, old, new)]
    parts = list(_parts(selector, inner))
    return [Patch("innerHTML", *parts[0]), *(Patch("beforeend", *part) for part in parts[1:])]


def _pairs(one: str, other: str) -> list[tuple[str, str]] | None:
    """Return the nodes of both in pairs, or None if they differ in more than the content of elements."""
    old, new = list(_nodes(one)), list(_nodes(other))
    if len(old) != len(new):
        return None
    pairs = list(zip(old, new, strict=True))
    return pairs if all(a == b or (a.startswith("<") and b.startswith("<")) for a, b in pairs) else None


def _insert(parent: str, number: int, element: str) -> list[Patch]:
    """Return the patches that put `element` after child `number` of `parent`, or first if that is 0."""
    target = ("afterend", parent + _child(number)) if number else ("afterbegin", parent)
    if not _is_split(element):
        return [Patch(*target, element)]
    start_tag, inner, end_tag = _split_tags(element)
    parts = _parts(parent + _child(number + 1), inner)
    return [Patch(*target, start_tag + end_tag), *(Patch("beforeend", *part) for part in parts)]


def _child(number: int) -> str:
    return f" > :nth-child({number})"


def _parts(selector: str, html: str) -> Iterator[tuple[str, str]]:
    """Yield `html` in parts, each with the selector of the element to append it to."""
    part = ""
    for node in _nodes(html):
        is_element = node.startswith("<")
        if is_element and _is_split(node):
            start_tag, inner, end_tag = _split_tags(node)
            yield selector, part + start_tag + end_tag
            yield from _parts(f"{selector} > :last-child", inner)
            part = ""
            continue
        for piece in [node] if is_element or len(node) <= MAX_PATCH else _TEXT.findall(node):
            if part and len(part) + len(piece) > MAX_PATCH:
                yield selector, part
                part = ""
            part += piece
    if part or not html:
        yield selector, part


def _is_split(element: str) -> bool:
    return len(element) > MAX_PATCH and _start_tag(element)["name"] not in _NEVER_SPLIT


def _split_tags(element: str) -> tuple[str, str, str]:
    """Return the start tag, content and end tag of `element`. A void element has no content and no end tag."""
    tag = _start_tag(element)
    if tag["name"] in _VOID:
        return tag[0], "", ""
    end = element.rindex("</")
    return tag[0], element[tag.end() : end], element[end:]


def _start_tag(element: str) -> re.Match[str]:
    return next(_TAG.finditer(element))
