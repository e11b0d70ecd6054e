"""Every section of CommonMark and of GitHub's additions: the same as the reference implementation writes, but for
what docs/rendering.md lists, and the same however the text was cut on its way.
"""

import json
import random
import re
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from conversations.rendering import markdown
from conversations.rendering.settle import Settler, assemble
from tests.rendering.reader import read
from tests.rendering.skeleton import skeleton

HERE = Path(__file__).parent
CASES: list[dict[str, str]] = json.loads((HERE / "cases.json").read_text())
SECTIONS = {name: list(cases) for name, cases in groupby(CASES, lambda case: case["section"])}
WAYS_TO_CUT = 50

sections = pytest.mark.parametrize("cases", SECTIONS.values(), ids=SECTIONS)


def render(text: str) -> str:
    return markdown.render(text, prefix="m1")


@sections
def test_what_is_said_is_what_the_reference_says_but_for_departures(cases: list[dict[str, str]]):
    for case in cases:
        html = render(case["markdown"])
        read(html)
        same = skeleton(html, ours=True) == skeleton(case["html"], ours=False)
        assert same != ("departure" in case), case


@sections
def test_however_a_text_is_cut_it_ends_as_the_whole(cases: list[dict[str, str]]):
    dice = random.Random(0)  # noqa: S311  (the same cuts in every run)
    for case in cases:
        text = case["markdown"]
        whole = render(text)
        differing = 0
        for _ in range(WAYS_TO_CUT):
            settled = assemble(stream(text, sorted(dice.choices(range(len(text) + 1), k=dice.randint(1, 3)))))
            differing += settled != whole
        assert (differing > 0) == ("later" in case), case


def stream(text: str, places: list[int]) -> list:
    """Return the pieces of `text` when it arrives cut at `places`; fail if one changes after it has settled."""
    settler = Settler("m1")
    before: list = []
    for start, end in pairwise([0, *places, len(text)]):
        settler.feed(text[start:end])
        settler.advance()
        assert settler.settled[: len(before)] == before
        before = list(settler.settled)
    settler.close()
    return settler.settled


@pytest.mark.parametrize(("key", "heading"), [("departure", "Departures"), ("later", "While an answer arrives")])
def test_the_documentation_lists_what_the_cases_show(key: str, heading: str):
    text = (HERE.parents[1] / "docs" / "rendering.md").read_text()
    table = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[1:]
    assert {case[key] for case in CASES if key in case} == set(rows) - {"---"}
