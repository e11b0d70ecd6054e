"""Two renderings side by side: what differs is marked, and nothing else changes."""

import re
from itertools import pairwise

import pytest

from conversations.rendering import compare, markdown
from conversations.rendering.compare import Row, rows
from tests.rendering.hostile import HOSTILE
from tests.rendering.test_steps import THOUGHTS
from tests.screen import parse

OURS = re.compile(r'<(?:del|ins)(?: class="whole")?>|</(?:del|ins)>')


def compared(old: str, new: str) -> list[Row]:
    return rows(*(markdown.render(text, prefix=f"c{n}", highlighted=False) for n, text in enumerate((old, new), 1)))


def test_blocks_are_paired_and_words_marked():
    found = compared(
        "Take a dump, then switch.\n\nThe same.\n\nGone from here.",
        "Use a copy, then switch.\n\nThe same.\n\n## New",
    )
    assert "><del>Take</del> a <del>dump</del>, then switch.<" in found[0].old
    assert "<ins>Use</ins> a <ins>copy</ins>, then switch." in found[0].new
    assert [row.is_same for row in found] == [False, True, False]
    assert found[1].old == found[1].new
    assert found[2].old.startswith('<del class="whole"><p')
    assert found[2].new.startswith('<ins class="whole"><h')


def test_code_tables_lists_and_formulas_are_compared_inside():
    code, table = "```python\nx = 1\ny = 2\n```", "| a | b |\n|---|---|\n| 1 | 2 |"
    old = f"{code}\n\n{table}\n\n- one\n- two\n\nSo $x^2$ is it.\n\n中文的句子在这里。"
    new = old.replace("y = 2", "y = 3").replace("| 2 |", "| 4 |").replace("two", "three").replace("x^2", "x^3")
    code, table, listing, formula, chinese = compared(old, new.replace("句子", "段落"))
    assert "<del>2</del>" in code.old
    assert "<ins>3</ins>" in code.new
    assert "<ins>4</ins></td>" in table.new
    assert "<del>two</del>" in listing.old
    assert re.search(r"<ins><math.*?</math></ins>", formula.new, re.DOTALL)
    assert "<del>句子</del>" in chinese.old.replace("</del><del>", "")
    assert not any(row.is_same for row in (code, table, listing, formula, chinese))


def test_answers_that_differ_only_in_ids_are_the_same():
    assert all(row.is_same for row in compared("A note.[^1]\n\n[^1]: Here.", "A note.[^1]\n\n[^1]: Here."))


def test_the_models_own_markup_for_deleted_text_is_no_difference():
    [row] = compared("~~old~~ new", "~~old~~ new")
    assert row.is_same
    assert "<del>old</del>" in row.old


def test_without_our_marks_each_side_is_the_answer():
    names = ["kimi-query", "oss-query", "r1-dice", "zh-system"]
    for one, other in pairwise(names):
        found = compared(THOUGHTS[one], THOUGHTS[other])
        for side, name, number in (("old", one, 1), ("new", other, 2)):
            html = markdown.render(THOUGHTS[name], prefix=f"c{number}", highlighted=False)
            joined = "".join(OURS.sub("", getattr(row, side)) for row in found)
            assert re.sub(r"\s+", "", joined) == re.sub(r"\s+", "", OURS.sub("", html))


def test_hostile_answers_stay_harmless_and_well_formed():
    for one, other in zip(HOSTILE, HOSTILE[1:] + HOSTILE[:1], strict=True):
        # In a quotation, which contains all of it.
        quoted = [re.sub(r"(?m)^", "> ", text) for text in (f"Some words. {one}", f"Some words. {other}")]
        for row in compared(*quoted):
            for side in (row.old, row.new):
                tree = parse(side)
                for element in tree.elements():
                    assert element.tag not in ("script", "img", "style", "iframe", "form", "svg")
                    names = set(element.attributes)
                    assert not any(name.startswith(("on", "hx-", "style")) for name in names)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("word other\n" * 3_000, "word more\n" * 3_000),
        ("a b\n\n" * 4_000, "a c\n\n" * 4_000),
        ("```\n" + "line\n" * 5_000 + "```", "```\n" + "other\n" * 5_000 + "```"),
    ],
    ids=["one paragraph", "many blocks", "code"],
)
def test_what_is_too_long_to_compare_inside_is_shown_as_a_whole(old: str, new: str):
    found = compared(old, new)
    assert all('class="whole"' in row.old and 'class="whole"' in row.new for row in found[-1:])


def test_questions_are_compared_as_text():
    old, new = compare.texts("Why <b>this</b>?", "Why <b>that</b>?")
    assert old == "<p>Why &lt;b&gt;<del>this</del>&lt;/b&gt;?</p>"
    assert "<ins>that</ins>" in new
