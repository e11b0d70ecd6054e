"""One run: readers ask at a server, and the figures of what they saw and what it cost make a row."""

from asyncio import Runner
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any

from benchmarks.endpoint import Endpoint
from benchmarks.measure import SERVER_CORE, core_seconds, cpu_seconds, peak_bytes, percentile
from benchmarks.readers import Reader, Reading, RelayReader, all_at_their_time
from benchmarks.stages import Server
from benchmarks.texts import Play, Script, conversation

# What a reader does before the clock runs, and from then on.
WAYS: dict[str, tuple[Callable[[Any], Awaitable[None]], Callable[[Any, Reading], Awaitable[None]]]] = {
    "open socket": (Reader.open, Reader.ask),
    "new conversation": (Reader.open_new, Reader.begin),
    "baseline relay": (RelayReader.open, RelayReader.ask),
}
PATIENCE = 4  # a run that takes so many times what it should is given up
WARM_UP = conversation(20, 60, 1000)

_runs = count(1)


@dataclass(slots=True)
class Row:
    """Figures of one run, in the units the names say; None where there is nothing to tell."""

    database: str
    way: str
    text: str
    streams: int
    deltas: int  # of each stream, as the next one
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
    others_on_core: float  # the share of the server's core that was somebody else's meanwhile
    errors: list[str] = field(default_factory=list)


class Runs:
    """Does runs against one endpoint, on one event loop, and keeps their rows."""

    def __init__(self, runner: Runner, endpoint: Endpoint) -> None:
        self.rows: list[Row] = []
        self._runner = runner
        self._endpoint = endpoint

    def run(
        self, server: Server, way: str, script: Script, *, database: str, text: str, streams: int, spread: float
    ) -> Row:
        """Have `streams` readers, evenly over `spread` seconds, get `script` for an answer; keep and return the row."""
        prepare, act = WAYS[way]
        self._warm_up(server, way)
        readers: list[Any] = []
        readings = self._readings(script, streams)

        async def open_pages() -> None:
            readers.extend(server.reader() for _ in range(streams))
            for reader in readers:
                await prepare(reader)

        async def read() -> None:
            await all_at_their_time(
                readings,
                lambda number, reading: act(readers[number], reading),
                spread=spread,
                limit=PATIENCE * (script.ideal_seconds + spread) + 30,
            )

        async def close_pages() -> None:
            for reader in readers:
                await reader.close()

        try:
            self._runner.run(open_pages())
            stored, cpu, core, begun = server.stored(), cpu_seconds(server.pid), core_seconds(SERVER_CORE), monotonic()
            self._runner.run(read())
            cpu, core, took = cpu_seconds(server.pid) - cpu, core_seconds(SERVER_CORE) - core, monotonic() - begun
            stored = server.stored() - stored if stored is not None else None
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
            peak_mb=peak_bytes(server.pid) / 2**20,
            bytes_per_character=sum(reading.received for reading in readings) / (streams * script.characters),
            stored_bytes_per_character=None if stored is None else stored / (streams * script.characters),
            others_on_core=max(0.0, core - cpu) / took,
            errors=errors or list(server.faults(readings)),
            **_times(readings),
        )
        self.rows.append(row)
        return row

    def _warm_up(self, server: Server, way: str) -> None:
        """Have one reader ask once: templates are compiled and connections open in any server but a new one."""
        prepare, act = WAYS[way]
        [reading] = self._readings(WARM_UP, 1)

        async def warm_up() -> None:
            reader = server.reader()
            await prepare(reader)
            await all_at_their_time([reading], lambda _, reading: act(reader, reading), spread=0, limit=30)
            await reader.close()

        self._runner.run(warm_up())

    def _readings(self, script: Script, number: int) -> list[Reading]:
        run = next(_runs)
        readings = [Reading(f"play-{run:x}-{n:x}", Play(script)) for n in range(number)]
        self._endpoint.plays = {reading.name: reading.play for reading in readings}
        return readings


def _times(readings: Sequence[Reading]) -> dict[str, float | None]:
    """Return the figures in time of the readings that got an end; the slowest tells wall against ideal."""
    done = [reading for reading in readings if reading.ended and reading.seen]
    first = [reading.first_delta_seconds * 1000 for reading in done]
    added = [
        (seen - sent) * 1000 for reading in done for seen, sent in zip(reading.seen, reading.play.sent, strict=False)
    ]
    late = [seconds * 1000 for reading in done for seconds in reading.play.late]
    walls = [(reading.ended - reading.posted) / reading.play.script.ideal_seconds for reading in done]
    return {
        "first_delta_p50_ms": percentile(first, 50),
        "first_delta_p99_ms": percentile(first, 99),
        "added_p50_ms": percentile(added, 50),
        "added_p99_ms": percentile(added, 99),
        "wall_over_ideal": max(walls, default=None),
        "endpoint_late_p99_ms": percentile(late, 99),
    }
