"""CPU time, memory and writes of processes as Linux counts them, and the cores they run on."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
# The server has the first core to itself; everything else in the benchmark shares the second.
SERVER_CORE, LOAD_CORE = (CORES[0], CORES[1]) if len(CORES) > 1 else (None, None)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a server and its running child processes have used, in seconds."""
    return sum(time.clock_gettime(_cpu_clock(member)) for member in _processes(pid))


def core_seconds(core: int | None) -> float:
    """Return the seconds that a core has been busy, including time stolen by other machines; 0 without a core."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, ticks)
            return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return 0.0


def resident_bytes(pid: int) -> int:
    """Return the memory that a server and its running child processes have now, in bytes."""
    return sum(_field(f"/proc/{member}/status", "VmRSS") * 1024 for member in _processes(pid))


def peak_bytes(pid: int) -> int:
    """Return the sum of the peak memory of a server and its running child processes, in bytes."""
    return sum(_field(f"/proc/{member}/status", "VmHWM") * 1024 for member in _processes(pid))


def written_bytes(pid: int) -> int:
    """Return the bytes of a process's write() calls: for the site, what it wrote to SQLite's files.

    Sockets are not included: they are written by send().
    """
    return _field(f"/proc/{pid}/io", "wchar")


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Run this process on one core. Processes started in the meantime stay there."""
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
    """Return the value below which `percent` percent of the values lie; None if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else None


def _processes(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [pid, *(int(child) for task in tasks for child in _read_words(task / "children"))]


def _read_words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except FileNotFoundError:  # the thread has ended in the meantime
        return []


def _field(path: str, name: str) -> int:
    return next(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(f"{name}:"))


def _cpu_clock(pid: int) -> int:
    """Return the id of the clock of a process's CPU time, ended threads included (Linux: CPUCLOCK_SCHED)."""
    return (~pid << 3) | 2
