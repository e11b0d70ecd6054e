"""An answer rendered while it arrives ends as the answer rendered whole, and what has settled never changes."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.rendering import markdown
from conversations.rendering.pieces import MAX_WINDOW
from conversations.rendering.settle import Settler, assemble
from tests.rendering.hostile import HOSTILE
from tests.rendering.reader import read

DOCUMENT = """\
# Which is greater?

**9.8** is greater than 9.11, because *eight tenths* are more than one tenth.
Written with the same number of places:

| number | hundredths |
|--------|-----------:|
| 9.8    | 980 |
| 9.11   | 911 |

```python
from decimal import Decimal

print(Decimal("9.8") > Decimal("9.11"))  # True
```

- one
- two with `code`
- three

1. first
2. second

> A quotation, with $x^2$ in it.

$$
\\sum_{i=1}^n i
$$

The end, with a [link](https://example.org) and \\(y\\).
"""

# Later text changes what has settled here: a reference, a footnote, a list turned loose.
CHANGING = ["See [a].\n\n[a]: https://example.org\n", "Note[^1].\n\n[^1]: here\n", "- one\n- two\n\n- three\n"]


def feed(pieces: list[str]) -> Settler:
    settler = Settler("m1")
    before: list = []
    for piece in pieces:
        settler.feed(piece)
        settler.advance()
        assert settler.settled[: len(before)] == before, "what had settled was changed"
        before = list(settler.settled)
        settler.tail_html()
    return settler


def cut(text: str, places: set[int]) -> list[str]:
    bounds = [0, *sorted(places), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


@settings(max_examples=150, deadline=None)
@given(st.sets(st.integers(0, len(DOCUMENT)), max_size=60))
def test_any_cuts_end_as_the_whole(places: set[int]):
    settler = feed(cut(DOCUMENT, places))
    assert settler.finish() == markdown.render(DOCUMENT, prefix="m1")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_settled_pieces_make_up_the_whole_where_nothing_later_changes_it(data):
    text = DOCUMENT.replace("```python", "```")  # highlighting comes only at the end
    settler = feed(cut(text, data.draw(st.sets(st.integers(0, len(text)), max_size=60))))
    settler.close()
    whole = markdown.render(text, prefix="m1")
    assert assemble(settler.settled) == whole
    assert not settler.differs(whole)


def test_what_reorders_text_is_shown_in_code_from_the_beginning():
    text = "a \u202e `b\u202e`\n\n```\nif admin:\u2066 # check\n```\n"
    settler = feed(list(text))
    settler.close()
    assert assemble(settler.settled) == markdown.render(text, prefix="m1")
    assert assemble(settler.settled).count('<span class="bidi" title="U+202E">\u202e</span>') == 1
    assert assemble(settler.settled).count('<span class="bidi" title="U+2066">\u2066</span>') == 1


def test_hostile_text_leaves_no_executable_or_styled_node_on_its_way():
    for text in HOSTILE:
        settler = Settler("m1")
        for piece in cut(text, {len(text) // 3, 2 * len(text) // 3}):
            settler.feed(piece)
            read(settler.tail_html())
        settler.close()
        read(assemble(settler.settled))


@pytest.mark.parametrize("text", CHANGING)
def test_what_later_text_changes_is_right_at_the_end(text: str):
    settler = feed(list(text))
    assert settler.finish() == markdown.render(text, prefix="m1")


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
def test_the_tail_shows_no_mark_whose_end_has_yet_to_come(text: str, shown: str):
    assert feed([text]).tail_html() == f'<p dir="auto">{shown}</p>\n'


@pytest.mark.parametrize(
    "block",
    ["- an item of a list\n", "| a | cell |\n", "a line of code\n", "A sentence in one long paragraph. "],
    ids=["list", "table", "code", "paragraph"],
)
def test_the_tail_of_one_endless_block_stays_short(block: str):
    start = {"|": "| h | i |\n|---|---|\n", "a": "```\n"}.get(block[0], "")
    settler = Settler("m1")
    settler.feed(start)
    longest = 0
    for _ in range(2000):
        settler.feed(block)
        settler.advance()
        longest = max(longest, settler.tail_characters)
    assert longest < 10_000
    assert sum(len(piece.html) for piece in settler.settled) > 20_000


@pytest.mark.parametrize("block", ["> a line of a quotation\n", "<p>a line of markup\n", "[^1]: a footnote\n    "])
def test_the_tail_of_a_block_that_settles_as_a_whole_is_bounded_too(block: str):
    settler = Settler("m1")
    for _ in range(3 * MAX_WINDOW // len(block)):
        settler.feed(block)
        settler.advance()
        assert settler.tail_characters <= MAX_WINDOW + len(block)


@given(
    st.lists(
        st.sampled_from([*"aé字 .,(-=`*_&'", "word", "www", "- ", "2. ", "\n", "\n\n", "  \n", "| ", "# "]), max_size=60
    )
)
def test_a_line_that_grows_looks_as_if_it_were_rendered_anew(pieces: list[str]):
    settler, anew = Settler("m1"), Settler("m1")
    for piece in pieces:
        settler.feed(piece)
        anew.feed(piece)
        anew._last_tail = ("", "")
        assert settler.tail_html() == anew.tail_html()
