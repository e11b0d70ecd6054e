"""The mark where an answer was continued, which changes nothing else."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.rendering import markdown
from conversations.rendering.continuation_marks import MARK, extract, insert, restore
from conversations.rendering.incremental import IncrementalRenderer, assemble

MARK_HTML = '<span class="join" role="img" aria-label="Continued here" title="Continued here"></span>'
CUT = "|"  # stands for the cut in the texts below, and for the mark in their HTML


def render(text: str) -> str:
    return markdown.render(text, prefix="m1")


def render_cut(text: str) -> str:
    """Return the HTML of `text`, which was cut at `CUT`, with `CUT` for the mark. Fail if anything else has changed."""
    cut_at = text.index(CUT)
    text = text.replace(CUT, "", 1)
    html = render(insert(text, [cut_at]))
    assert html.replace(MARK_HTML, "") == render(text)
    assert MARK not in html
    return html.replace(MARK_HTML, CUT)


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
def test_the_mark_is_after_the_last_word_before_the_cut(text: str, expected: str):
    assert expected in render_cut(text)


@pytest.mark.parametrize("text", ["```|python\nx\n```", "&am|p;", "1|. one", "|Yes"])
def test_there_is_no_mark_without_a_word_before_the_cut(text: str):
    assert CUT not in render_cut(text)


def test_a_table_has_no_mark_in_its_name():
    html = render(insert("| a head | b |\n|---|---|\n| c | d |\n", [8]))
    assert f"a head{MARK_HTML}</th>" in html
    assert 'aria-label="Table: a head b"' in html


def test_every_cut_has_a_mark():
    assert render(insert("It was cut and cut again and ended.", [10, 20])).count(MARK_HTML) == 2


def test_a_mark_in_the_model_s_own_text_is_replaced():
    assert insert(f"Say{MARK} so", []) == "Say\ufffd so"
    renderer = IncrementalRenderer("m1")
    renderer.feed(f"Say{MARK} so")
    renderer.close()
    assert MARK_HTML not in assemble(renderer.finalised)


def test_formulas_and_addresses_have_no_mark():
    assert render(f"So $x + y{MARK} + z$ is.") == render("So $x + y + z$ is.")
    link = render(f'[a](https://example.org/b{MARK}c "a title{MARK}")')
    assert link == render('[a](https://example.org/bc "a title")')


def test_preformatted_text_has_no_mark():
    assert MARK not in markdown.preformatted(insert("It is so.", [5]))


def test_a_mark_is_restored_where_it_was_in_highlighted_code():
    assert extract(f"a < b{MARK} and{MARK}") == ("a < b and", [5, 9])
    assert restore("a &lt; <b>b</b> and", [5, 9]) == f"a &lt; <b>b{MARK}</b> and{MARK}"


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
def test_nothing_else_changes_wherever_the_cut_is(cut_at: int):
    html = render(insert(DOCUMENT, [cut_at]))
    assert html.count(MARK_HTML) <= 1
    assert html.replace(MARK_HTML, "") == render(DOCUMENT)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, len(DOCUMENT)))
def test_an_answer_that_is_continued_live_has_the_same_mark_as_the_stored_one(cut_at: int):
    renderer = IncrementalRenderer("m1")
    renderer.feed(DOCUMENT[:cut_at], [cut_at])
    renderer.tail_html()
    renderer.feed(DOCUMENT[cut_at:])
    renderer.close()
    assert without_highlighting(assemble(renderer.finalised)) == without_highlighting(
        render(insert(DOCUMENT, [cut_at]))
    )


def without_highlighting(html: str) -> str:
    return re.sub(r'<span class="\w+">|</span>', "", html.replace(MARK_HTML, CUT))
