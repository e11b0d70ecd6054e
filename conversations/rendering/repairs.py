"""What a page must swap so that an answer it has shown piece by piece becomes the answer as rendered whole.

Only what differs: blocks, and within a long block (code that got its colours, a list) the lines or items. So what is
being read stays where it is, and neither a slow connection nor a page has much to do at once.
"""

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Final, NamedTuple

# Characters of HTML in one part. Elements and texts are divided, but a table or a formula is not.
MAX_PART: Final = 24_000

# As the sanitiser writes it: well nested, values in double quotes.
_TAG = re.compile(r'<(?P<end>/?)(?P<name>[a-z0-9]+)(?:[^">]|"[^"]*")*>')
_TEXT = re.compile(rf"(?:&[a-z]+;|[^&]){{1,{MAX_PART // 8}}}")
_VOID: Final = {"br", "hr", "input"}
_WHOLE: Final = {"math", "table"}


class Repair(NamedTuple):
    """A swap, as an `hx-swap-oob` of htmx names it, of `html` at the selector `within` the answer's container.

    To be done in order: each selector counts on those before it. What takes an element's place is that element itself,
    because htmx has much to do with each element that stands directly in what it swaps.
    """

    swap: str
    within: str
    html: str


def repairs(shown: str, whole: str) -> list[Repair]:
    """Return what makes `whole` of `shown`, two renderings of an answer."""
    old, new = blocks(shown), blocks(whole)
    same = _common(old, new)
    at_end = _common(old[: same - 1 if same else None : -1], new[: same - 1 if same else None : -1])
    old, new = old[same : len(old) - at_end], new[same : len(new) - at_end]
    found: list[Repair] = []
    for number, (before, after) in enumerate(zip(old, new, strict=False), same + 1):
        found += _replace("", number, before, after)
    last = same + len(new)
    for _ in old[len(new) :]:
        found.append(Repair("delete", _child(last + 1), ""))
    for number, block in enumerate(new[len(old) :], same + len(old)):
        found += _insert("", number, block)
    return found


def blocks(html: str) -> list[str]:
    """Return the elements that stand directly in `html`."""
    return [node for node in _nodes(html) if not node.isspace()]


def _nodes(html: str) -> Iterator[str]:
    """Yield the elements and the texts that stand directly in `html`."""
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


def _common(one: list[str], other: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _replace(parent: str, number: int, before: str, after: str) -> list[Repair]:
    """Return what makes the element of that number in `parent`, which is `before`, the element `after`."""
    if before == after:
        return []
    within = parent + _child(number)
    if len(after) <= MAX_PART or _name(after) in _WHOLE:
        return [Repair("outerHTML", within, after)]
    shell, inner, _ = _opened(after)
    if _TAG.match(before)[0] != shell:
        return [*_insert(parent, number, after), Repair("delete", within, "")]
    if pairs := _alike(_opened(before)[1], inner):
        children = enumerate(((old, new) for old, new in pairs if new.startswith("<")), 1)
        return [repair for at, (old, new) in children for repair in _replace(within, at, old, new)]
    parts = list(_parts(within, inner))
    return [Repair("innerHTML", *parts[0]), *(Repair("beforeend", *part) for part in parts[1:])]


def _alike(one: str, other: str) -> list[tuple[str, str]] | None:
    """Return the nodes of both, side by side, if they differ in elements alone."""
    old, new = list(_nodes(one)), list(_nodes(other))
    if len(old) != len(new):
        return None
    pairs = list(zip(old, new, strict=True))
    return pairs if all(a == b or (a.startswith("<") and b.startswith("<")) for a, b in pairs) else None


def _insert(parent: str, number: int, block: str) -> list[Repair]:
    """Return what puts `block` into `parent` behind the element of that number, 0 for the beginning."""
    where = ("afterend", parent + _child(number)) if number else ("afterbegin", parent)
    if len(block) <= MAX_PART or _name(block) in _WHOLE:
        return [Repair(*where, block)]
    shell, inner, end = _opened(block)
    parts = _parts(parent + _child(number + 1), inner)
    return [Repair(*where, shell + end), *(Repair("beforeend", *part) for part in parts)]


def _child(number: int) -> str:
    return f" > :nth-child({number})"


def _parts(within: str, html: str) -> Iterator[tuple[str, str]]:
    """Yield `html` in parts, each with the selector of the element to append it to."""
    ready = ""
    for node in _nodes(html):
        divides = len(node) > MAX_PART
        if divides and node.startswith("<") and _name(node) not in _WHOLE:
            shell, inner, end = _opened(node)
            yield within, ready + shell + end
            yield from _parts(f"{within} > :last-child", inner)
            ready = ""
            continue
        for piece in _TEXT.findall(node) if divides and not node.startswith("<") else [node]:
            if ready and len(ready) + len(piece) > MAX_PART:
                yield within, ready
                ready = ""
            ready += piece
    if ready or not html:
        yield within, ready


def _opened(element: str) -> tuple[str, str, str]:
    """Return the start tag, content and end tag of `element`; a void one has no content and no end."""
    shell = _TAG.match(element)[0]
    if _name(element) in _VOID:
        return shell, "", ""
    end = element.rindex("</")
    return shell, element[len(shell) : end], element[end:]


def _name(element: str) -> str:
    return _TAG.match(element)["name"]
