"""Measure what one replica carries here, and print what a number of users needs: `python -m benchmarks.capacity`.

It uses PostgreSQL and Redis on loopback, and takes about five minutes on an idle machine. docs/operations.md explains
the result, `benchmarks/sizing.py` has the formula.
"""

import argparse
import signal
import sys
from asyncio import Runner
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from typing import Any

import psycopg
import uvloop

from benchmarks import report
from benchmarks.endpoint import Endpoint
from benchmarks.measure import LOAD_CORE, cpu_seconds, on_core, resident_bytes
from benchmarks.runs import Row, Runs
from benchmarks.servers import Servers, SiteServer
from benchmarks.sizing import Costs, Demand, sizes
from benchmarks.texts import conversation

USERS = (100, 1_000, 10_000, 100_000)
PACE = 20  # deltas per second: an endpoint's usual speed
STEPS = (25, 50, 100, 150, 200, 300, 400)
MAX_ADDED_MS = 500  # p99, by which a word arrives later than the endpoint sent it
MAX_CPU = 0.85  # of a core
COUNT = "select count(*) from {}"


@dataclass(frozen=True, slots=True)
class Totals:
    """What answers of one length have used, in all. `seconds` are those of all streams."""

    questions: int
    seconds: float
    characters: int
    cpu: float
    database_cpu: float
    rows: int
    stored: int  # bytes by which the database has grown


def main() -> int:
    arguments = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with on_core(LOAD_CORE), Runner(loop_factory=uvloop.new_event_loop) as runner, closing(Endpoint()) as endpoint:
        runner.run(endpoint.open())
        with Servers("postgresql", endpoint) as servers:
            print(*report.machine_lines(), "", report.head(), sep="\n", flush=True)
            runs = Runs(runner, endpoint)
            costs = measure(servers, runs, runner, arguments)
    print("\nOne replica, on one core:", *lines(costs), sep="\n")
    for users in arguments.users:
        given = {field.name: getattr(arguments, field.name) for field in fields(Demand) if field.name != "users"}
        demand = Demand(users, **given)
        print(
            f"\n{users:,} users: {demand.questions_per_second:.2f} questions per second,"
            f" {demand.streams:,.0f} answers at once, {demand.open_pages:,.0f} open pages",
            *lines(sizes(costs, demand)),
            sep="\n",
        )
    return 1 if any(row.errors for row in runs.rows) else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=USERS, help="people with an account")
    for field in fields(Demand):
        if field.name != "users":
            name = f"--{field.name.replace('_', '-')}"
            parser.add_argument(name, type=float, default=field.default, help=f"{field.default}; see sizing.py")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="numbers of streams to try")
    parser.add_argument("--at-once", type=int, default=50, help="streams for the costs of one answer (50)")
    parser.add_argument("--short", type=float, default=3, help="seconds of the short answers (3)")
    parser.add_argument("--long", type=float, default=20, help="seconds of the long ones (20)")
    parser.add_argument("--pages", type=int, default=200, help="open pages for the memory of one (200)")
    return parser.parse_args(arguments)


def measure(servers: Servers, runs: Runs, runner: Runner, arguments: argparse.Namespace) -> Costs:
    short, long = (answers(servers, runs, arguments.at_once, seconds) for seconds in (arguments.short, arguments.long))
    streams = limit(servers, runs, arguments.steps, arguments.short)
    # Costs of two lengths give those of the question itself, and of each second.
    cpu_question, cpu_second = line_through(short, long, "cpu")
    database_question, database_second = line_through(short, long, "database_cpu")
    bytes_question, bytes_second = line_through(short, long, "stored")
    characters_per_second = long.characters / long.seconds
    idle, per_page, cpu_per_page = open_pages(servers, runner, arguments.pages)
    redis_cpu, redis_bytes = between_replicas(servers, runs, arguments.at_once, arguments.long)
    return Costs(
        streams=streams,
        idle_mb=idle / 2**20,
        kb_per_page=per_page / 1024,
        cpu_per_page=cpu_per_page,
        cpu_per_question=cpu_question,
        cpu_per_stream_second=cpu_second,
        database_cpu_per_question=database_question,
        database_cpu_per_stream_second=database_second,
        rows_per_question=long.rows / long.questions,
        bytes_per_question=bytes_question,
        bytes_per_character=bytes_second / characters_per_second,
        redis_cpu_per_stream_second=redis_cpu,
        redis_bytes_per_stream_second=redis_bytes,
    )


def answers(servers: Servers, runs: Runs, streams: int, seconds: float) -> Totals:
    """Ask `streams` questions whose answers take `seconds` each, and return what they have used."""
    with servers.site(streams + 1) as site:
        before, database_cpu = _database_state(site), servers.database_cpu()
        row = run(runs, site, streams, seconds, "open socket")
        database_cpu = servers.database_cpu() - database_cpu
        rows, stored = (end - start for start, end in zip(before, _database_state(site), strict=True))
    deltas = streams * row.deltas
    return Totals(
        questions=streams + 1,  # with the one of the warm-up
        seconds=deltas / PACE,
        characters=streams * row.characters,
        cpu=row.cpu_us_per_delta * deltas / 1e6,
        database_cpu=database_cpu,
        rows=int(rows),
        stored=int(stored),
    )


def line_through(short: Totals, long: Totals, name: str) -> tuple[float, float]:
    """Return what a question costs, and each second of its answer, so that both totals result."""
    low, high = short.seconds / short.questions, long.seconds / long.questions
    less, more = getattr(short, name) / short.questions, getattr(long, name) / long.questions
    per_second = max(0.0, (more - less) / (high - low))
    return max(0.0, less - low * per_second), per_second


def limit(servers: Servers, runs: Runs, steps: Sequence[int], seconds: float) -> int:
    """Return the last number of streams at once before words are late or the core is busy, with steady arrivals."""
    carried = 1
    for streams in steps:
        # Questions arrive while answers run: so twice as many are needed for this number at once.
        with servers.site(2 * streams + 1) as site:
            row = run(runs, site, 2 * streams, 2 * seconds, "open socket", spread=4 * seconds)
        if row.cpu_share > MAX_CPU or (row.added_p99_ms or 0) > MAX_ADDED_MS or row.errors:
            break
        carried = streams
    return carried


def open_pages(servers: Servers, runner: Runner, number: int) -> tuple[float, float, float]:
    """Return the memory of an idle replica, that of each open page, in bytes, and the CPU seconds to open one."""
    with servers.site(number + 1) as site:
        [pid] = site.pids
        readers = []

        async def open_one() -> None:
            readers.append(site.reader())
            await readers[-1].open()

        async def close_all() -> None:
            for reader in readers:
                await reader.close()

        runner.run(open_one())
        idle, cpu = resident_bytes(pid), cpu_seconds(pid)
        for _ in range(number):
            runner.run(open_one())
        used, cpu = resident_bytes(pid) - idle, cpu_seconds(pid) - cpu
        runner.run(close_all())
    return idle, used / number, cpu / number


def between_replicas(servers: Servers, runs: Runs, streams: int, seconds: float) -> tuple[float, float]:
    """Return Redis' CPU seconds and bytes for each second of a stream whose viewer is at another replica."""
    with servers.site(streams + 1, replicas=2, asks_elsewhere=True) as site:
        before = servers.redis_use()
        row = run(runs, site, streams, seconds, "open socket")
        cpu, transferred = (end - start for start, end in zip(before, servers.redis_use(), strict=True))
    stream_seconds = streams * row.deltas / PACE
    return cpu / stream_seconds, transferred / stream_seconds


def run(runs: Runs, site: SiteServer, streams: int, seconds: float, way: str, spread: float = 2) -> Row:
    deltas = round(seconds * PACE)
    script = conversation(deltas // 3, deltas - deltas // 3, PACE)
    row = runs.run(site, way, script, database="postgresql", text="load", streams=streams, spread=spread)
    print(report.line(row), flush=True)
    return row


def lines(figures: Any) -> list[str]:
    return [f"  {name.replace('_', ' '):34}{value:>14,.4g}" for name, value in asdict(figures).items()]


def _database_state(site: SiteServer) -> tuple[float, float]:
    """Return the number of rows, and the size in bytes without what deleted and updated rows have left."""
    with psycopg.connect(site.site.database_url, autocommit=True) as connection:
        connection.execute("vacuum full")
    tables = site.site.rows("select relname from pg_stat_user_tables")
    rows = sum(site.site.rows(COUNT.format(name))[0][0] for (name,) in tables)
    [(size,)] = site.site.rows("select sum(pg_total_relation_size(relid))::bigint from pg_stat_user_tables")
    return rows, size


if __name__ == "__main__":
    sys.exit(main())
