"""The table, and what is told of the machine."""

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.measure import LOAD_CORE, SERVER_CORE
from benchmarks.runs import Row

COLUMNS = (
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
GROWING = ("cpu_us_per_character", "bytes_per_character", "stored_bytes_per_character")


def head() -> str:
    return " ".join(name.ljust(width) for name, width, _ in COLUMNS)


def line(row: Row) -> str:
    """Return a row of the table, with its first errors below."""
    cells = " ".join(read(row).ljust(width) for _, width, read in COLUMNS)
    return "\n".join([cells.rstrip(), *(f"    {error}" for error in row.errors[:3])])


def growths(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Return, for each kind of long text, how each cost per character grew from the shorter to the longer one."""
    found = []
    texts: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.text != "load":
            texts.setdefault((row.database, row.text), []).append(row)
    for (database, text), (short, long) in texts.items():
        ratios = {name: getattr(long, name) / getattr(short, name) for name in GROWING}
        found.append({"database": database, "text": text, **ratios})
    return found


def growth_lines(growths: Sequence[dict[str, object]]) -> list[str]:
    """Return the lines that tell them; none for none."""
    if not growths:
        return []
    told = [
        f"{growth['database']:<10} {growth['text']:<10} " + "  ".join(f"{growth[name]:.2f}" for name in GROWING)
        for growth in growths
    ]
    return ["", "Ten times as long: CPU, bytes to the browser and bytes stored, each per character, grew by", *told]


def machine() -> dict[str, object]:
    return {
        "processor": next(
            (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
        ),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "server_core": SERVER_CORE,
        "load_core": LOAD_CORE,
    }


def machine_lines() -> list[str]:
    told = machine()
    where = f"server on core {SERVER_CORE}, everything else on core {LOAD_CORE}"
    return [
        f"{told['processor']}, {told['cores']} cores, {told['system']}",
        f"Python {told['python']}, load before it began: {told['load']:.1f}",
        where if LOAD_CORE is not None else "server and load share one core: there is no other to pin them to",
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
