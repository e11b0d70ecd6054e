"""Measure what the site costs and how fast it is: `python -m benchmarks`, or `make bench` for all of it.

Everything talks to loopback and ends by itself, also on Ctrl-C. See docs/performance.md.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import uvloop

from benchmarks import report
from benchmarks.endpoint import Endpoint
from benchmarks.measure import LOAD_CORE, on_core
from benchmarks.runs import Runs
from benchmarks.stages import Stage
from benchmarks.texts import KINDS, conversation, long_text

DATABASES = ("sqlite", "postgresql")
LONG_PER_SECOND = 2_500  # deltas of eight characters: 20,000 characters a second


def main() -> int:
    arguments = parse(sys.argv[1:])
    if sys.platform != "linux":
        print("The benchmark reads Linux's /proc: run it in a container or on a Linux machine.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with on_core(LOAD_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        endpoint = Endpoint()
        runner.run(endpoint.open())
        runs = Runs(runner, endpoint)
        print(*report.machine_lines(), "", report.head(), sep="\n", flush=True)
        for database in arguments.database:
            with Stage(database, endpoint) as stage:
                beyond = arguments.beyond if database == arguments.database[0] else []
                for streams in (*arguments.streams, *beyond):
                    load(stage, runs, arguments, streams)
                if arguments.long:
                    long_texts(stage, runs, arguments.long)
        growths = report.growths(runs.rows)
        print(*report.growth_lines(growths), sep="\n")
    if arguments.json:
        found = {"machine": report.machine(), "rows": [asdict(row) for row in runs.rows], "growth": growths}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=1))
    return 1 if any(row.errors for row in runs.rows) else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 50, 200], help="answers at once (1 50 200)")
    beyond = "answers at once that are too many for one core (500), over the first database alone"
    parser.add_argument("--beyond", type=int, nargs="*", default=[500], help=beyond)
    parser.add_argument("--long", nargs="*", choices=KINDS, default=list(KINDS), help="long texts (all kinds)")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=list(DATABASES), help="default: both")
    parser.add_argument("--reasoning", type=int, default=100, help="deltas of reasoning in each stream (100)")
    parser.add_argument("--answer", type=int, default=200, help="deltas of answer in each stream (200)")
    parser.add_argument("--pace", type=float, default=50, help="deltas a second in each stream (50)")
    parser.add_argument("--spread", type=float, default=5, help="seconds over which the prompts are sent (5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser.parse_args(arguments)


def load(stage: Stage, runs: Runs, arguments: argparse.Namespace, streams: int) -> None:
    """Run so many streams at the baseline relay and at the site, by both ways of asking."""
    script = conversation(arguments.reasoning, arguments.answer, arguments.pace)
    told = {"database": stage.database, "text": "load", "streams": streams, "spread": arguments.spread}
    with stage.relay() as relay:
        baseline = runs.run(relay, "baseline relay", script, **told)
        print(report.line(baseline), flush=True)
    with stage.site(2 * streams + 2) as site:  # one more for each run, to warm up with
        for way in ("open socket", "new conversation"):
            row = runs.run(site, way, script, **told)
            row.cpu_of_baseline = row.cpu_us_per_delta / baseline.cpu_us_per_delta
            print(report.line(row), flush=True)


def long_texts(stage: Stage, runs: Runs, kinds: Iterable[str]) -> None:
    """Run one stream at a time of each kind, short and ten times as long."""
    texts = [(kind, characters) for kind in kinds for characters in (20_000, 200_000)]
    with stage.site(2 * len(texts)) as site:
        for kind, characters in texts:
            script = long_text(kind, characters, LONG_PER_SECOND)
            row = runs.run(site, "open socket", script, database=stage.database, text=kind, streams=1, spread=0)
            print(report.line(row), flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
