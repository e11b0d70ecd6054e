"""A page that has shown an answer piece by piece is put right by swapping only what differs."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from conversations.rendering import markdown
from conversations.rendering.highlight import LINES
from conversations.rendering.repairs import MAX_PART, Repair, blocks, repairs
from conversations.rendering.settle import Settler, assemble

CASES = json.loads((Path(__file__).parent / "cases.json").read_text())


def render(text: str) -> str:
    return markdown.render(text, prefix="m1")


class Page(HTMLParser):
    """A tree of elements ([tag, children]) and texts, on which repairs can be done as htmx does them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root: list = ["div", []]
        self._open = [self.root]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = [(tag, *attrs), []]
        self._open[-1][1].append(element)
        if tag not in {"br", "hr", "input"}:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        children = self._open[-1][1]
        if children and isinstance(children[-1], str):
            children[-1] += data
        else:
            children.append(data)

    def repair(self, repair: Repair) -> None:
        parent, element = [None, []], self.root
        for step in re.findall(r" > :(?:nth-child\((\d+)\)|last-child)", repair.within):
            parent = element
            element = [child for child in element[1] if not isinstance(child, str)][int(step) - 1 if step else -1]
        fresh = Page(repair.html).root[1]
        at = next((n for n, child in enumerate(parent[1]) if child is element), 0)
        match repair.swap:
            case "outerHTML":
                parent[1][at : at + 1] = fresh
            case "innerHTML":
                element[1][:] = fresh
            case "beforeend":
                element[1] += fresh
            case "afterbegin":
                element[1][:0] = fresh
            case "afterend":
                parent[1][at + 1 : at + 1] = fresh
            case "delete":
                del parent[1][at]


def joined(node: list, *, outermost: bool = True) -> list:
    """Return `node` with texts that stand side by side made one, and none between the outermost blocks."""
    children: list = []
    for child in node[1]:
        if outermost and isinstance(child, str):
            assert child.isspace()
            continue
        if isinstance(child, str) and children and isinstance(children[-1], str):
            children[-1] += child
        else:
            children.append(child if isinstance(child, str) else joined(child, outermost=False))
    return [node[0], children]


def repaired(shown: str, whole: str) -> list[Repair]:
    page, found = Page(shown), repairs(shown, whole)
    for repair in found:
        page.repair(repair)
    assert joined(page.root) == joined(Page(whole).root)
    return found


def shown(text: str) -> str:
    """Return what a page shows of `text` that has arrived character by character."""
    settler = Settler("m1")
    for character in text:
        settler.feed(character)
        settler.advance()
    settler.close()
    return assemble(settler.settled)


def test_what_is_right_needs_no_repair():
    html = render("# a\n\nb\n\n- c\n")
    assert repairs(html, html) == []


@pytest.mark.parametrize("case", [case for case in CASES if "later" in case], ids=lambda case: case["markdown"][:20])
def test_what_later_text_changes_is_put_right(case: dict[str, str]):
    text = "Before.\n\n---\n\n" + case["markdown"]
    assert repaired(shown(text), render(text))


def test_only_the_blocks_that_differ_are_swapped():
    text = "One.\n\n```python\nx = 1\n```\n\nTwo, with [a link].\n\nThree.\n\n[a link]: https://x.example\n"
    assert [(repair.swap, repair.within) for repair in repaired(shown(text), render(text))] == [
        ("outerHTML", " > :nth-child(2)"),
        ("outerHTML", " > :nth-child(3)"),
    ]


def test_long_code_gets_its_colours_a_few_lines_at_a_time():
    text = "```python\n" + "x = 1\n" * 2_000 + "```"
    found = repaired(shown(text), render(text))
    assert len(found) == 2_000 / LINES
    assert {repair.swap for repair in found} == {"outerHTML"}
    assert found[1].within == " > :nth-child(1) > :nth-child(2) > :nth-child(1) > :nth-child(2)"
    assert max(len(repair.html) for repair in found) < MAX_PART / 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "a\n\nb"),
        ("a\n\nb", ""),
        ("a\n\nb\n\nc", "a\n\nc"),
        ("a\n\nc", "a\n\nb\n\nc"),
        ("a\n\na", "a"),
        ("a", "a\n\na"),
        ("a\n\nb\n\nc", "# a\n\n---\n\n> c\n\nd"),
        ("---", "***\n\na"),
        ("a", "| a |\n|---|\n| b |"),
    ],
)
def test_any_rendering_can_become_any_other(before: str, after: str):
    repaired(render(before), render(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("```\n" + "x = 1\n" * 8_000 + "```", "```python\n" + "x = 1\n" * 8_000 + "```"),
        ("a", "```\n" + "x = 1 & 2\n" * 20_000 + "```"),
        ("- a", "- " + "*a* " * 20_000 + "\n- b\n" + "- c\n" * 10_000),
    ],
    ids=["code", "text", "list"],
)
def test_a_long_block_comes_in_parts(before: str, after: str):
    found = repaired(render(before), render(after))
    assert len(found) > 3
    assert max(len(repair.html) for repair in found) <= MAX_PART


def test_blocks_are_the_outermost_elements():
    assert blocks('<p title="a > b">a<br>b</p>\n<hr>\n<ul><li>c</li></ul>\n') == [
        '<p title="a > b">a<br>b</p>',
        "<hr>",
        "<ul><li>c</li></ul>",
    ]
