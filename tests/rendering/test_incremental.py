"""Answers that are rendered while they arrive."""

import json
import random
from collections.abc import Iterable
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conversations.rendering import markdown
from conversations.rendering.block_protocol import MAX_WINDOW, Fragment
from conversations.rendering.incremental import IncrementalRenderer, assemble
from tests.rendering.hostile import HOSTILE
from tests.rendering.reader import read

CASES: list[dict[str, str]] = json.loads((Path(__file__).parent / "cases.json").read_text())
SECTIONS = {name: list(cases) for name, cases in groupby(CASES, lambda case: case["section"])}
CUTS_PER_CASE = 25

# No language for the code: highlighting only happens at the end.
DOCUMENT = """\
## Which is greater?

**9.8** is greater than 9.11, because *eight tenths* are more than one tenth.
Written with the same number of places:

| number | hundredths |
|--------|-----------:|
| 9.8    | 980 |
| 9.11   | 911 |

```
from decimal import Decimal

print(Decimal("9.8") > Decimal("9.11"))  # True
```

#### In short

- one
- two with `code`
- three

### And

1. first
2. second

> A quotation, with $x^2$ in it.

$$
\\sum_{i=1}^n i
$$

The end, with a [link](https://example.org) and \\(y\\).
"""


def stream(text: str, cuts: Iterable[int]) -> list[Fragment]:
    """Return the fragments of `text` when it arrives cut at `cuts`. Fail if a finalised fragment changes."""
    renderer = IncrementalRenderer("m1")
    before: list[Fragment] = []
    for start, end in pairwise([0, *sorted(cuts), len(text)]):
        renderer.feed(text[start:end])
        renderer.tail_html()
        assert renderer.finalised[: len(before)] == before
        before = list(renderer.finalised)
    renderer.close()
    assert renderer.tail_html() == ""
    return renderer.finalised


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, len(DOCUMENT)), max_size=60))
def test_a_document_cut_anywhere_is_rendered_as_the_whole(cuts: set[int]):
    assert assemble(stream(DOCUMENT, cuts)) == markdown.render(DOCUMENT, prefix="m1")


@pytest.mark.parametrize("cases", SECTIONS.values(), ids=SECTIONS)
def test_a_case_cut_anywhere_is_rendered_as_the_whole_unless_later_text_changes_it(cases: list[dict[str, str]]):
    random_cuts = random.Random(0)  # noqa: S311  (the same cuts in every run)
    for case in cases:
        text = case["markdown"]
        whole = markdown.render(text, prefix="m1")
        cuts = (random_cuts.choices(range(len(text) + 1), k=random_cuts.randint(1, 3)) for _ in range(CUTS_PER_CASE))
        differs = [assemble(stream(text, places)) != whole for places in cuts]
        assert any(differs) == ("later" in case), case


def test_items_that_follow_a_loose_item_are_loose():
    text = "- tight\n- tight\n\n- loose\n- loose\n- loose\n"
    html = assemble(stream(text, range(len(text))))
    assert html.count("<p>loose</p>") == html.count("loose") == 3


def test_reordering_characters_in_code_are_shown_from_the_start():
    text = "a \u202e `b\u202e`\n\n```\nif admin:\u2066 # check\n```\n"
    html = assemble(stream(text, range(len(text))))
    assert html == markdown.render(text, prefix="m1")
    assert html.count('<span class="bidi" title="U+202E">\u202e</span>') == 1
    assert html.count('<span class="bidi" title="U+2066">\u2066</span>') == 1


def test_hostile_text_is_safe_while_it_arrives():
    for text in HOSTILE:
        renderer = IncrementalRenderer("m1")
        for start, end in pairwise([0, len(text) // 3, 2 * len(text) // 3, len(text)]):
            renderer.feed(text[start:end])
            read(renderer.tail_html())
        renderer.close()
        read(assemble(renderer.finalised))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a `b", "a <code>b</code>"),
        ("a `", "a"),
        ("a **b", "a <strong>b</strong>"),
        ("a **b*", "a <strong>b</strong>"),
        ("a **", "a"),
        ("a\n-", "a"),
        ("a\n``", "a"),
        ("a `*` b", "a <code>*</code> b"),
    ],
)
def test_the_tail_hides_marks_that_are_not_closed_yet(text: str, shown: str):
    renderer = IncrementalRenderer("m1")
    renderer.feed(text)
    assert renderer.tail_html() == f'<p dir="auto">{shown}</p>\n'


@pytest.mark.parametrize(
    ("start", "more"),
    [
        ("", "- an item of a list\n"),
        ("| h | i |\n|---|---|\n", "| a | cell |\n"),
        ("```\n", "a line of code\n"),
        ("", "A sentence in one long paragraph. "),
    ],
    ids=["list", "table", "code", "paragraph"],
)
def test_the_tail_of_an_endless_block_stays_short(start: str, more: str):
    renderer = IncrementalRenderer("m1")
    renderer.feed(start)
    longest = 0
    for _ in range(2_000):
        renderer.feed(more)
        renderer.finalise()
        longest = max(longest, renderer.tail_characters)
    assert longest < 10_000
    assert sum(len(fragment.html) for fragment in renderer.finalised) > 20_000


@pytest.mark.parametrize("line", ["> a line of a quotation\n", "<p>a line of markup\n", "[^1]: a footnote\n    "])
def test_the_tail_of_a_block_that_is_not_finalised_in_parts_is_limited(line: str):
    renderer = IncrementalRenderer("m1")
    more = line * 20
    for _ in range(3 * MAX_WINDOW // len(more)):
        renderer.feed(more)
        renderer.finalise()
        assert renderer.tail_characters <= MAX_WINDOW + len(more)


@given(
    st.lists(
        st.sampled_from([*"aé字 .,(-=`*_&'", "word", "www", "- ", "2. ", "\n", "\n\n", "  \n", "| ", "# "]), max_size=40
    )
)
@example(["ww", "w.a"])  # an address that begins in the text before
def test_a_growing_line_looks_the_same_as_if_it_were_parsed_again(pieces: list[str]):
    growing = IncrementalRenderer("m1")
    for number, piece in enumerate(pieces, 1):
        growing.feed(piece)
        parsed = IncrementalRenderer("m1")
        for earlier in pieces[:number]:
            parsed.feed(earlier)
            parsed.finalise()
        assert growing.tail_html() == parsed.tail_html()
