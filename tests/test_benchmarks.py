"""The benchmark runs, and measures everything it reports, with a real site."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean
from types import ModuleType

import pytest
from django.conf import settings

from benchmarks import __main__ as everything
from benchmarks import capacity, servers, simulation
from benchmarks.capacity import Totals, line_through
from benchmarks.measure import on_core
from benchmarks.report import growth
from benchmarks.runs import Row
from benchmarks.simulation import Question, questions, simulate, theory
from benchmarks.sizing import BUSY, MIN_REPLICAS, POOL, SPARE_CONNECTIONS, Costs, Demand, sizes
from benchmarks.texts import KINDS, conversation, long_text
from tests.ports import unused_port
from tests.services import PostgreSQL
from tests.site import Site

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")

NOT_MEASURED_FOR_THE_RELAY = {"cpu_of_baseline", "stored_bytes_per_character"}
COSTS = Costs(
    streams=100,
    idle_mb=150,
    kb_per_page=50,
    cpu_per_page=0.02,
    cpu_per_question=0.05,
    cpu_per_stream_second=0.002,
    database_cpu_per_question=0.01,
    database_cpu_per_stream_second=0.001,
    rows_per_question=5,
    bytes_per_question=5_000,
    bytes_per_character=2,
    redis_cpu_per_stream_second=0.0001,
    redis_bytes_per_stream_second=2_000,
)


def row(**figures: object) -> Row:
    return Row(**dict.fromkeys(Row.__slots__) | {"errors": []} | figures)


@linux
def test_a_process_is_on_one_core_for_a_while():
    before = os.sched_getaffinity(0)
    with on_core(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


@pytest.fixture
def run_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], database_template: Path
) -> Iterator[Callable[..., str]]:
    """Run a benchmark in this process and on all cores, and return its output. Databases are copied, not migrated."""
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    monkeypatch.setattr(servers, "migrate", lambda url: shutil.copy(database_template, url.removeprefix("sqlite:///")))
    handler = signal.getsignal(signal.SIGTERM)

    def run(benchmark: ModuleType, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [benchmark.__name__, *arguments])
        status, printed = benchmark.main(), capsys.readouterr()
        assert status == 0, printed.out + printed.err
        return printed.out

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def forked_sites(monkeypatch: pytest.MonkeyPatch, postgresql_files: Path) -> None:
    """Start the sites of a benchmark like those of other tests, with a copy of the same cluster: that is quicker."""
    monkeypatch.setattr(servers, "StartedSite", Site)
    monkeypatch.setattr(servers, "migrated_postgresql", lambda: PostgreSQL(unused_port(), postgresql_files))


@linux
def test_a_small_benchmark_measures_everything_without_errors(run_benchmark: Callable[..., str], tmp_path: Path):
    figures = tmp_path / "figures.json"
    size = "--streams 2 --reasoning 5 --answer 10 --pace 100 --spread 0 --beyond --long"
    run_benchmark(everything, "--database", "sqlite", "--json", str(figures), *size.split())
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


@pytest.mark.parametrize(("slots", "load"), [(1, 0.5), (6, 0.8), (16, 0.8)])
def test_the_simulation_agrees_with_the_theory_of_queues(slots: int, load: float):
    arriving = questions(100_000, load * slots / 2, 2, seed=7)
    waits = simulate(arriving, slots)
    share, mean_wait = theory(load * slots / 2, 2, slots)
    assert sum(wait > 0 for wait in waits) / len(waits) == pytest.approx(share, rel=0.05)
    assert mean(waits) == pytest.approx(mean_wait, rel=0.1)


def test_erlangs_formula_gives_known_values():
    assert theory(0.5, 1, 1) == pytest.approx((0.5, 0.5 / 0.5))  # M/M/1: load / (1 - load)
    assert theory(2, 1, 3) == pytest.approx((4 / 9, 4 / 9))


def test_in_the_simulation_many_questions_of_one_person_do_not_delay_the_first_of_another():
    arriving = [Question(0, 10, person=1)] * 5 + [Question(1, 10, person=2), Question(2, 10, person=2)]
    waits = simulate(arriving, slots=4)
    assert waits == [0, 0, 0, 10, 10, 0, 8]  # nobody has more than three at once, and the fourth slot is free


def test_sizes_grow_with_what_people_do_and_are_never_without_a_spare_replica():
    few = sizes(COSTS, Demand(users=10))
    assert POOL == settings.REQUEST_THREADS + settings.STREAM_THREADS + settings.UPLOAD_THREADS
    assert (few.replicas, few.database_connections) == (MIN_REPLICAS, MIN_REPLICAS * POOL + SPARE_CONNECTIONS)
    demand = Demand(users=72_000, questions_per_day=10, peak_share=0.1, answer_seconds=20, pages_per_question=0)
    assert (demand.questions_per_second, demand.streams) == (20, 400)
    many = sizes(COSTS, demand)
    assert many.by_cpu == pytest.approx((20 * 0.05 + 400 * 0.002) / BUSY)
    assert many.by_streams == 4
    assert many.replicas == 5
    assert many.rows_per_second == 20 * 5 + 400
    assert many.gb_per_year == pytest.approx(72_000 * 10 * 365 * (5_000 + 4_000 * 2) / 1e9)
    assert sizes(COSTS, replace(demand, open_share=0.9)).by_memory > many.by_memory


def test_the_cost_of_a_question_and_of_a_second_follow_from_answers_of_two_lengths():
    used = {"questions": 10, "characters": 0, "database_cpu": 0, "rows": 0, "stored": 0}
    short, long = Totals(seconds=20, cpu=3, **used), Totals(seconds=100, cpu=7, **used)
    assert line_through(short, long, "cpu") == pytest.approx((0.2, 0.05))


@pytest.mark.postgresql
@pytest.mark.redis
@linux
def test_a_small_measurement_of_the_capacity_ends_with_sizes(run_benchmark: Callable[..., str], forked_sites: None):
    small = "--steps 2 --at-once 2 --short 0.3 --long 0.6 --pages 2 --users 1000"
    printed = run_benchmark(capacity, *small.split())
    assert "1,000 users: 0.21 questions per second, 6 answers at once, 100 open pages" in printed
    assert re.search(r"^  replicas +\d+$", printed, re.MULTILINE)


@pytest.mark.postgresql
@pytest.mark.redis
@linux
def test_a_small_simulation_is_printed_beside_a_measurement(run_benchmark: Callable[..., str], forked_sites: None):
    printed = run_benchmark(simulation, *["--replicas", "2", "--slots", "1", "--questions", "4", "--seconds", "0.2"])
    assert [line.split()[2] for line in printed.splitlines() if "ed  " in line] == ["measured", "simulated"]
