"""One run: readers ask a server, and its latencies and costs become a row of the table."""

from asyncio import Runner
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any

from benchmarks.endpoint import Endpoint
from benchmarks.measure import SERVER_CORE, core_seconds, cpu_seconds, peak_bytes, percentile
from benchmarks.readers import Reader, Reading, RelayReader, run_spread
from benchmarks.servers import Server
from benchmarks.texts import Playback, Script, conversation

# What a reader does before the measurement, and during it.
WAYS: dict[str, tuple[Callable[[Any], Awaitable[None]], Callable[[Any, Reading], Awaitable[None]]]] = {
    "open socket": (Reader.open, Reader.ask),
    "new conversation": (Reader.open_new, Reader.ask_new),
    "baseline relay": (RelayReader.open, RelayReader.ask),
}
TIMEOUT_FACTOR = 4  # a run may take this many times its ideal time
WARM_UP = conversation(20, 60, 1000)

_runs = count(1)


@dataclass(slots=True)
class Row:
    """Results of one run, in the units of their names; None where nothing was measured."""

    database: str
    way: str
    text: str
    streams: int
    deltas: int  # per stream, as the next one
    characters: int
    first_delta_p50_ms: float | None
    first_delta_p99_ms: float | None
    added_p50_ms: float | None
    added_p99_ms: float | None
    wall_over_ideal: float | None
    cpu_us_per_delta: float
    cpu_us_per_character: float
    cpu_of_baseline: float | None
    peak_mb: float
    bytes_per_character: float
    stored_bytes_per_character: float | None
    endpoint_late_p99_ms: float | None
    cpu_share: float  # CPU of all replicas, of one core
    others_on_core: float  # share of the server's core that other programs used during the run
    errors: list[str] = field(default_factory=list)


class Runs:
    """Performs runs with one endpoint on one event loop, and collects their rows."""

    def __init__(self, runner: Runner, endpoint: Endpoint) -> None:
        self.rows: list[Row] = []
        self._runner = runner
        self._endpoint = endpoint

    def run(
        self, server: Server, way: str, script: Script, *, database: str, text: str, streams: int, spread: float
    ) -> Row:
        """Let `streams` readers ask, evenly over `spread` seconds, and receive `script`; add and return the row."""
        prepare, ask = WAYS[way]
        self._warm_up(server, way)
        readers: list[Any] = []
        readings = self._readings(script, streams)

        async def open_pages() -> None:
            readers.extend(server.reader() for _ in range(streams))
            for reader in readers:
                await prepare(reader)

        async def read() -> None:
            await run_spread(
                readings,
                lambda number, reading: ask(readers[number], reading),
                spread=spread,
                limit=TIMEOUT_FACTOR * (script.ideal_seconds + spread) + 30,
            )

        async def close_pages() -> None:
            for reader in readers:
                await reader.close()

        try:
            self._runner.run(open_pages())
            before, cpu, core = server.stored_bytes(), _cpu(server), core_seconds(SERVER_CORE)
            started = monotonic()
            self._runner.run(read())
            cpu, core = _cpu(server) - cpu, core_seconds(SERVER_CORE) - core
            seconds, after = monotonic() - started, server.stored_bytes()
            stored = None if before is None or after is None else after - before
        finally:
            self._runner.run(close_pages())
        errors = [reading.error for reading in readings if reading.error]
        row = Row(
            database=database,
            way=way,
            text=text,
            streams=streams,
            deltas=len(script.deltas),
            characters=script.characters,
            cpu_us_per_delta=cpu / (streams * len(script.deltas)) * 1e6,
            cpu_us_per_character=cpu / (streams * script.characters) * 1e6,
            cpu_of_baseline=None,
            peak_mb=sum(map(peak_bytes, server.pids)) / 2**20,
            bytes_per_character=sum(reading.received for reading in readings) / (streams * script.characters),
            stored_bytes_per_character=None if stored is None else stored / (streams * script.characters),
            cpu_share=cpu / seconds,
            others_on_core=max(0.0, core - cpu) / seconds,
            errors=errors or list(server.differences(readings)),
            **_times(readings),
        )
        self.rows.append(row)
        return row

    def _warm_up(self, server: Server, way: str) -> None:
        """Let one reader ask once, so that templates are compiled and connections are open."""
        prepare, ask = WAYS[way]
        [reading] = self._readings(WARM_UP, 1)

        async def warm_up() -> None:
            reader = server.reader()
            await prepare(reader)
            await run_spread([reading], lambda _, reading: ask(reader, reading), spread=0, limit=30)
            await reader.close()

        self._runner.run(warm_up())

    def _readings(self, script: Script, number: int) -> list[Reading]:
        run = next(_runs)
        readings = [Reading(f"playback-{run:x}-{n:x}", Playback(script)) for n in range(number)]
        self._endpoint.playbacks = {reading.name: reading.playback for reading in readings}
        return readings


def _cpu(server: Server) -> float:
    return sum(map(cpu_seconds, server.pids))


def _times(readings: Sequence[Reading]) -> dict[str, float | None]:
    """Return the latencies of the readings that ended, and the slowest reading's time divided by the ideal one."""
    ended = [reading for reading in readings if reading.ended and reading.seen]
    first = [reading.first_delta_seconds * 1000 for reading in ended]
    added = [
        (seen - sent) * 1000
        for reading in ended
        for seen, sent in zip(reading.seen, reading.playback.sent, strict=False)
    ]
    late = [seconds * 1000 for reading in ended for seconds in reading.playback.late]
    walls = [(reading.ended - reading.posted) / reading.playback.script.ideal_seconds for reading in ended]
    return {
        "first_delta_p50_ms": percentile(first, 50),
        "first_delta_p99_ms": percentile(first, 99),
        "added_p50_ms": percentile(added, 50),
        "added_p99_ms": percentile(added, 99),
        "wall_over_ideal": max(walls, default=None),
        "endpoint_late_p99_ms": percentile(late, 99),
    }
