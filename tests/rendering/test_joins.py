"""The mark where an answer was cut and went on changes nothing but that it is there."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.rendering import markdown
from conversations.rendering.joins import JOIN, clean, mark, put_in, take_out
from conversations.rendering.settle import Settler, assemble

MARK = '<span class="join" role="img" aria-label="Continued here" title="Continued here"></span>'
CUT = "|"  # where the answer was cut, in the texts below


def rendered(text: str) -> str:
    """Return the HTML of `text`, which was cut where `CUT` stands, with CUT for the mark."""
    at = text.index(CUT)
    text = text.replace(CUT, "", 1)
    html = markdown.render(mark(text, [at]), prefix="m1")
    assert html.replace(MARK, "") == markdown.render(text, prefix="m1")
    assert JOIN not in html
    return html.replace(MARK, CUT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is so| because of that.", "It is so| because"),
        ("It is so beca|use of that.", "so beca|use of"),
        ("It is so. |Because of that.", "so|. Because"),
        ("It is **so| bold** here.", "<strong>so| bold</strong>"),
        ("- one\n- two\n- |three", "two|</li>"),
        ("1. one\n2|. two", "one|</li>"),
        ("Here:\n\n```python\ndef add(a, b):\n    return| a\n```\n", '<span class="k">return|</span>'),
        ("Here:\n\n```|python\nx = 1\n```\n", "Here|:</p>"),
        ("Fish &am|p; chips", "Fish| &amp; chips"),
        ("See https://example.org/pa|th now", "See| <a"),
        ("See [this](https://example.org/a|b) now", "See| <a"),
        ("See [this pa|ge](https://example.org)", "this pa|ge</a>"),
        ("Do `this or th|at` now", "<code>this or th|at</code>"),
        ("日本語の文|章です", "日本語の文|章です"),
        ("# Title| here", "Title| here</h3>"),
    ],
)
def test_the_mark_stands_behind_the_last_word_before_the_cut(text: str, expected: str):
    assert expected in rendered(text)


def test_a_tables_name_keeps_no_mark():
    html = markdown.render(mark("| a head | b |\n|---|---|\n| c | d |\n", [8]), prefix="m1")
    assert f"a head{MARK}</th>" in html
    assert 'aria-label="Table: a head b"' in html


@pytest.mark.parametrize("text", ["```|python\nx\n```", "&am|p;", "1|. one", "|Yes"])
def test_without_a_word_before_the_cut_there_is_no_mark(text: str):
    assert CUT not in rendered(text)


def test_every_cut_is_marked():
    text = mark("It was cut and cut again and ended.", [10, 20])
    assert markdown.render(text, prefix="m1").count(MARK) == 2


def test_a_mark_that_came_with_the_text_is_none():
    assert mark(f"Say{JOIN} so", []) == "Say\ufffd so" == clean(f"Say{JOIN} so")
    settler = Settler("m1")
    settler.feed(f"Say{JOIN} so")
    settler.close()
    assert MARK not in assemble(settler.settled)


def test_in_mathematics_and_addresses_it_is_dropped():
    formula = markdown.render(f"So $x + y{JOIN} + z$ is.", prefix="m1")
    assert formula == markdown.render("So $x + y + z$ is.", prefix="m1")
    link = markdown.render(f'[a](https://example.org/b{JOIN}c "a title{JOIN}")', prefix="m1")
    assert link == markdown.render('[a](https://example.org/bc "a title")', prefix="m1")


def test_a_text_shown_plain_has_no_mark():
    assert JOIN not in markdown.plain(mark("It is so.", [5]))


def test_it_is_put_back_into_highlighted_code_where_it_was():
    assert take_out(f"a < b{JOIN} and{JOIN}") == ("a < b and", [5, 9])
    assert put_in("a &lt; <b>b</b> and", [5, 9]) == f"a &lt; <b>b{JOIN}</b> and{JOIN}"


DOCUMENT = """\
The *first* paragraph, with [a link](https://example.org), `code` and &amp; more words.

- an item of the list
- another one, **bold as it is**

```python
def add(a, b):
    return a + b  # the sum
```

| some | head |
|------|------|
| cell | and more |

> A quotation, with $x^2 + y$ in it, and the end.
"""


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(DOCUMENT)))
def test_wherever_it_is_cut_nothing_else_changes(at: int):
    html = markdown.render(mark(DOCUMENT, [at]), prefix="m1")
    assert html.count(MARK) <= 1
    assert html.replace(MARK, "") == markdown.render(DOCUMENT, prefix="m1")


@settings(max_examples=100, deadline=None)
@given(st.integers(1, len(DOCUMENT)))
def test_an_answer_that_is_gone_on_with_live_ends_as_the_stored_one(at: int):
    settler = Settler("m1")
    settler.feed(DOCUMENT[:at], [at])
    settler.advance()
    settler.tail_html()
    settler.feed(DOCUMENT[at:])
    assert settler.finish() == markdown.render(mark(DOCUMENT, [at]), prefix="m1")
    live = assemble(settler.settled)
    assert re.sub(r'<span class="\w+">|</span>', "", live.replace(MARK, CUT)) == re.sub(
        r'<span class="\w+">|</span>', "", settler.finish().replace(MARK, CUT)
    )
