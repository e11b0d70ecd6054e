"""What processes cost, as Linux counts it, and where they run."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
# The server has the first core alone; everything else here shares the second.
SERVER_CORE, LOAD_CORE = (CORES[0], CORES[1]) if len(CORES) > 1 else (None, None)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a server and its rendering processes have used, those that ended excepted."""
    return sum(time.clock_gettime(_cpu_clock(member)) for member in _family(pid))


def core_seconds(core: int | None) -> float:
    """Return the time that a core has spent on anything, this virtual machine's neighbours included; 0 for no core."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _waiting, interrupts, soft, steal, *_ = map(int, ticks)
            return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")
    return 0.0


def peak_bytes(pid: int) -> int:
    """Return the most memory that each of them has held, together."""
    return sum(_field(f"/proc/{member}/status", "VmHWM") * 1024 for member in _family(pid))


def written(pid: int) -> int:
    """Return the bytes of all write() calls of a process: for the site, of what it wrote to its database's files.

    Its sockets to browsers are written by send(), which is not counted there.
    """
    return _field(f"/proc/{pid}/io", "wchar")


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Run this process on one core; processes started meanwhile stay there."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the value below which so many percent of them lie; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else None


def _family(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [pid, *(int(child) for task in tasks for child in _words(task / "children"))]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except FileNotFoundError:  # a thread that has ended meanwhile
        return []


def _field(path: str, name: str) -> int:
    return next(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(f"{name}:"))


def _cpu_clock(pid: int) -> int:
    """Return the clock of a process's CPU time, all threads and those that ended included: CPUCLOCK_SCHED of Linux."""
    return (~pid << 3) | 2
