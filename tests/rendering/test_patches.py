"""Patches that turn the HTML a page was streamed into the final HTML."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from conversations.rendering import markdown
from conversations.rendering.highlight import LINES_PER_GROUP
from conversations.rendering.incremental import IncrementalRenderer, assemble
from conversations.rendering.patches import MAX_PATCH, Patch, diff, elements

CASES = json.loads((Path(__file__).parent / "cases.json").read_text())


def render(text: str) -> str:
    return markdown.render(text, prefix="m1")


class Page(HTMLParser):
    """A tree of elements ([tag, children]) and texts that applies patches as htmx does."""

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

    def apply(self, patch: Patch) -> None:
        parent, element = [None, []], self.root
        for step in re.findall(r" > :(?:nth-child\((\d+)\)|last-child)", patch.selector):
            parent = element
            element = [child for child in element[1] if not isinstance(child, str)][int(step) - 1 if step else -1]
        fresh = Page(patch.html).root[1]
        at = next((n for n, child in enumerate(parent[1]) if child is element), 0)
        match patch.swap:
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


def normalised(node: list, *, is_root: bool = True) -> list:
    """Return `node` with adjacent texts joined, and without the white space between the top-level elements."""
    children: list = []
    for child in node[1]:
        if is_root and isinstance(child, str):
            assert child.isspace()
            continue
        if isinstance(child, str) and children and isinstance(children[-1], str):
            children[-1] += child
        else:
            children.append(child if isinstance(child, str) else normalised(child, is_root=False))
    return [node[0], children]


def patch_page(streamed: str, final: str) -> list[Patch]:
    """Return the patches, after checking that they turn `streamed` into `final`."""
    page, patches = Page(streamed), diff(streamed, final)
    for patch in patches:
        page.apply(patch)
    assert normalised(page.root) == normalised(Page(final).root)
    return patches


def stream(text: str) -> str:
    """Return the HTML of a page that `text` has reached character by character."""
    renderer = IncrementalRenderer("m1")
    for character in text:
        renderer.feed(character)
        renderer.finalise()
    renderer.close()
    return assemble(renderer.finalised)


def test_equal_html_needs_no_patch():
    html = render("# a\n\nb\n\n- c\n")
    assert diff(html, html) == []


@pytest.mark.parametrize("case", [case for case in CASES if "later" in case], ids=lambda case: case["markdown"][:20])
def test_text_that_later_text_changes_is_patched(case: dict[str, str]):
    text = "Before.\n\n---\n\n" + case["markdown"]
    assert patch_page(stream(text), render(text))


def test_only_blocks_that_differ_are_replaced():
    text = "One.\n\n```python\nx = 1\n```\n\nTwo, with [a link].\n\nThree.\n\n[a link]: https://x.example\n"
    assert [(patch.swap, patch.selector) for patch in patch_page(stream(text), render(text))] == [
        ("outerHTML", " > :nth-child(2)"),
        ("outerHTML", " > :nth-child(3)"),
    ]


def test_long_code_is_highlighted_one_group_of_lines_at_a_time():
    text = "```python\n" + "x = 1\n" * 1_000 + "```"
    patches = patch_page(stream(text), render(text))
    assert len(patches) == 1_000 / LINES_PER_GROUP
    assert {patch.swap for patch in patches} == {"outerHTML"}
    assert patches[1].selector == " > :nth-child(1) > :nth-child(2) > :nth-child(1) > :nth-child(2)"
    assert max(len(patch.html) for patch in patches) < MAX_PATCH / 2


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
def test_any_html_can_be_turned_into_any_other(before: str, after: str):
    patch_page(render(before), render(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("```\n" + "x = 1\n" * 4_000 + "```", "```python\n" + "x = 1\n" * 4_000 + "```"),
        ("a", "```\n" + "x = 1 & 2\n" * 10_000 + "```"),
        ("- a", "- " + "*a* " * 5_000 + "\n- b\n" + "- c\n" * 3_000),
    ],
    ids=["code", "text", "list"],
)
def test_a_long_block_is_split_into_several_patches(before: str, after: str):
    patches = patch_page(render(before), render(after))
    assert len(patches) > 3
    assert max(len(patch.html) for patch in patches) <= MAX_PATCH


def test_only_top_level_elements_are_compared_as_a_whole():
    assert elements('<p title="a > b">a<br>b</p>\n<hr>\n<ul><li>c</li></ul>\n') == [
        '<p title="a > b">a<br>b</p>',
        "<hr>",
        "<ul><li>c</li></ul>",
    ]
