"""Measure the site's speed, CPU and memory under load: `python -m benchmarks`, or `make bench` for everything.

It uses loopback only and stops every process it started, also on Ctrl-C. See docs/performance.md.
"""

import argparse
import json
import signal
import sys
from asyncio import Runner
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import uvloop

from benchmarks import report
from benchmarks.endpoint import Endpoint
from benchmarks.measure import LOAD_CORE, on_core
from benchmarks.runs import Runs
from benchmarks.servers import Servers
from benchmarks.texts import KINDS, conversation, long_text

DATABASES = ("sqlite", "postgresql")
LONG_TEXT_PACE = 2_500  # deltas per second, of eight characters each: 20,000 characters per second


def main() -> int:
    arguments = parse(sys.argv[1:])
    if sys.platform != "linux":
        print("The benchmark reads Linux's /proc: run it in a container or on a Linux machine.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with on_core(LOAD_CORE), Runner(loop_factory=uvloop.new_event_loop) as runner, closing(Endpoint()) as endpoint:
        runner.run(endpoint.open())
        runs = Runs(runner, endpoint)
        print(*report.machine_lines(), "", report.head(), sep="\n", flush=True)
        for database in arguments.database:
            with Servers(database, endpoint) as servers:
                overload = arguments.beyond if database == arguments.database[0] else []
                for streams in (*arguments.streams, *overload):
                    load(servers, runs, arguments, streams)
                if arguments.long:
                    long_texts(servers, runs, arguments.long)
        growth = report.growth(runs.rows)
        print(*report.growth_lines(growth), sep="\n")
    if arguments.json:
        figures = {"machine": report.machine(), "rows": [asdict(row) for row in runs.rows], "growth": growth}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 1 if any(row.errors for row in runs.rows) else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 50, 200], help="concurrent streams (1 50 200)")
    overload = "more concurrent streams than one core can serve; on the first database only (500)"
    parser.add_argument("--beyond", type=int, nargs="*", default=[500], help=overload)
    parser.add_argument("--long", nargs="*", choices=KINDS, default=list(KINDS), help="long texts (all kinds)")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=list(DATABASES), help="databases (both)")
    parser.add_argument("--reasoning", type=int, default=100, help="reasoning deltas per stream (100)")
    parser.add_argument("--answer", type=int, default=200, help="answer deltas per stream (200)")
    parser.add_argument("--pace", type=float, default=50, help="deltas per second in each stream (50)")
    parser.add_argument("--spread", type=float, default=5, help="seconds over which the prompts are sent (5)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args(arguments)


def load(servers: Servers, runs: Runs, arguments: argparse.Namespace, streams: int) -> None:
    """Measure this number of concurrent streams on the baseline relay, then on the site with both ways of asking."""
    script = conversation(arguments.reasoning, arguments.answer, arguments.pace)
    labels = {"database": servers.database, "text": "load"}
    with servers.relay() as relay:
        baseline = runs.run(relay, "baseline relay", script, **labels, streams=streams, spread=arguments.spread)
        print(report.line(baseline), flush=True)
    with servers.site(2 * streams + 2) as site:  # one more per run, for the warm-up
        for way in ("open socket", "new conversation"):
            row = runs.run(site, way, script, **labels, streams=streams, spread=arguments.spread)
            row.cpu_of_baseline = row.cpu_us_per_delta / baseline.cpu_us_per_delta
            print(report.line(row), flush=True)


def long_texts(servers: Servers, runs: Runs, kinds: Iterable[str]) -> None:
    """Measure one stream at a time: a text of each kind with 20,000 characters, then one with 200,000."""
    texts = [(kind, characters) for kind in kinds for characters in (20_000, 200_000)]
    with servers.site(2 * len(texts)) as site:
        for kind, characters in texts:
            script = long_text(kind, characters, LONG_TEXT_PACE)
            row = runs.run(site, "open socket", script, database=servers.database, text=kind, streams=1, spread=0)
            print(report.line(row), flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
