"""The benchmark runs, and measures everything it reports, with a real site."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import growth
from benchmarks.runs import Row
from benchmarks.texts import KINDS, conversation, long_text
from tests.site import ROOT, environment

NOT_MEASURED_FOR_THE_RELAY = {"cpu_of_baseline", "stored_bytes_per_character"}


def row(**figures: object) -> Row:
    return Row(**dict.fromkeys(Row.__slots__) | {"errors": []} | figures)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_a_small_benchmark_measures_everything_without_errors(tmp_path: Path):
    figures = tmp_path / "figures.json"
    size = [
        "--streams",
        "2",
        "--reasoning",
        "5",
        "--answer",
        "10",
        "--pace",
        "100",
        "--spread",
        "0",
        "--beyond",
        "--long",
    ]
    command = [sys.executable, "-m", "benchmarks", "--database", "sqlite", "--json", str(figures), *size]
    ran = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = json.loads(figures.read_text())["rows"]
    assert [row["way"] for row in rows] == ["baseline relay", "open socket", "new conversation"]
    for row in rows:
        assert row["errors"] == []
        missing = {name for name, figure in row.items() if figure is None}
        assert missing == (NOT_MEASURED_FOR_THE_RELAY if row["way"] == "baseline relay" else set())
        assert all(figure >= 0 for figure in row.values() if isinstance(figure, float))


def test_a_conversation_has_the_requested_number_of_deltas():
    script = conversation(3, 4, 50)
    assert script.reasoning == "Z0 Z1 Z2 "
    assert script.answer == "Z3 Z4 Z5 Z6"
    assert len(script.deltas) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_has_the_requested_length_and_kind(kind: str):
    script = long_text(kind, 20_000, 1000)
    assert 20_000 <= script.characters < 28_000
    assert (script.reasoning == "") == (kind != "reasoning")
    assert script.number_in(script.reasoning + script.answer) == len(script.deltas) - 1


def test_growth_is_calculated_for_long_texts_only():
    costs = {"bytes_per_character": 4.0, "stored_bytes_per_character": 5.0, "database": "sqlite"}
    rows = [
        row(text="load", cpu_us_per_character=9.0, **costs),
        row(text="list", cpu_us_per_character=2.0, **costs),
        row(text="list", cpu_us_per_character=3.0, **costs),
    ]
    [ratios] = growth(rows)
    assert (ratios["text"], ratios["cpu_us_per_character"], ratios["bytes_per_character"]) == ("list", 1.5, 1.0)
