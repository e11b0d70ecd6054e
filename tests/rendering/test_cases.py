"""Every section of CommonMark and of GitHub's extensions, compared with the reference implementation's HTML."""

import json
import re
from itertools import groupby
from pathlib import Path

import pytest

from conversations.rendering import markdown
from tests.rendering.reader import read
from tests.rendering.skeleton import skeleton

HERE = Path(__file__).parent
CASES: list[dict[str, str]] = json.loads((HERE / "cases.json").read_text())
SECTIONS = {name: list(cases) for name, cases in groupby(CASES, lambda case: case["section"])}


@pytest.mark.parametrize("cases", SECTIONS.values(), ids=SECTIONS)
def test_html_is_equivalent_to_the_reference_except_for_documented_differences(cases: list[dict[str, str]]):
    for case in cases:
        html = markdown.render(case["markdown"], prefix="m1")
        read(html)
        is_equivalent = skeleton(html, ours=True) == skeleton(case["html"], ours=False)
        assert is_equivalent != ("departure" in case), case


@pytest.mark.parametrize(("key", "heading"), [("departure", "Differences"), ("later", "While an answer arrives")])
def test_the_documentation_lists_exactly_the_differences_that_cases_have(key: str, heading: str):
    text = (HERE.parents[1] / "docs" / "rendering.md").read_text()
    table = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[1:]
    assert {case[key] for case in CASES if key in case} == set(rows) - {"---"}
