"""The output: the table of results and the description of the machine."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.measure import LOAD_CORE, SERVER_CORE
from benchmarks.runs import Row

COLUMNS: tuple[tuple[str, int, Callable[[Row], str]], ...] = (  # heading, width in characters, cell
    ("database", 10, lambda row: row.database),
    ("way", 16, lambda row: row.way),
    ("text", 9, lambda row: row.text),
    ("streams", 7, lambda row: str(row.streams)),
    ("chars", 7, lambda row: str(row.characters)),
    ("first p50", 9, lambda row: _number(row.first_delta_p50_ms, 0)),
    ("p99 ms", 6, lambda row: _number(row.first_delta_p99_ms, 0)),
    ("added p50", 9, lambda row: _number(row.added_p50_ms, 0)),
    ("p99 ms", 6, lambda row: _number(row.added_p99_ms, 0)),
    ("wall", 5, lambda row: _number(row.wall_over_ideal, 2)),
    ("µs/delta", 8, lambda row: _number(row.cpu_us_per_delta, 0)),
    ("of base", 7, lambda row: _number(row.cpu_of_baseline, 2)),
    ("µs/char", 7, lambda row: _number(row.cpu_us_per_character, 2)),
    ("MB", 5, lambda row: _number(row.peak_mb, 0)),
    ("B/char", 6, lambda row: _number(row.bytes_per_character, 1)),
    ("stored", 6, lambda row: _number(row.stored_bytes_per_character, 1)),
    ("late ms", 7, lambda row: _number(row.endpoint_late_p99_ms, 0)),
    ("others", 6, lambda row: f"{row.others_on_core:.0%}"),
    ("errors", 6, lambda row: str(len(row.errors))),
)
COSTS = ("cpu_us_per_character", "bytes_per_character", "stored_bytes_per_character")


def head() -> str:
    return " ".join(name.ljust(width) for name, width, _ in COLUMNS)


def line(row: Row) -> str:
    """Return a row of the table, with its first errors below."""
    cells = " ".join(cell(row).ljust(width) for _, width, cell in COLUMNS)
    return "\n".join([cells.rstrip(), *(f"    {error}" for error in row.errors[:3])])


def growth(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Return the ratio of each cost per character, the longer text's to the shorter's, for each kind of long text."""
    result: list[dict[str, object]] = []
    texts: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.text != "load":
            texts.setdefault((row.database, row.text), []).append(row)
    for (database, text), (short, long) in texts.items():
        ratios = {name: getattr(long, name) / getattr(short, name) for name in COSTS}
        result.append({"database": database, "text": text, **ratios})
    return result


def growth_lines(growth: Sequence[dict[str, object]]) -> list[str]:
    """Return the lines to print for `growth`; none if it is empty."""
    if not growth:
        return []
    lines = [
        f"{ratios['database']:<10} {ratios['text']:<10} " + "  ".join(f"{ratios[name]:.2f}" for name in COSTS)
        for ratios in growth
    ]
    return [
        "",
        "Per character, the long text's cost divided by the short text's: CPU, bytes to the browser, bytes stored",
        *lines,
    ]


def machine() -> dict[str, object]:
    return {
        "processor": next(
            (line.split(":")[1].strip() for line in _read_lines("/proc/cpuinfo") if line.startswith("model name")), ""
        ),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "server_core": SERVER_CORE,
        "load_core": LOAD_CORE,
    }


def machine_lines() -> list[str]:
    facts = machine()
    cores = f"server on core {SERVER_CORE}, everything else on core {LOAD_CORE}"
    return [
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}",
        f"Python {facts['python']}, load average at the start: {facts['load']:.1f}",
        cores if LOAD_CORE is not None else "server and load share the only core",
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _read_lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
