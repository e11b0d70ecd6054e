"""Detect dead workers: by their heartbeats, and on SQLite by a lock that the system releases when a process ends."""

import fcntl
import time
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import connection

CHECK_SECONDS = 1.0  # the usual time between two checks


class LivenessMonitor:
    """Measures how long the heartbeat of each worker has not changed. Only this process's clock is used."""

    def __init__(self) -> None:
        self._beats: dict[int, int] = {}
        self._silent_seconds: dict[int, float] = {}
        self._checked_at = 0.0

    def dead_workers(self, beats: dict[int, int]) -> list[int]:
        """Return the ids of dead workers. `beats` are the current heartbeats by worker id."""
        now = time.monotonic()
        # Limited, because the database or this process may have been suspended in between.
        passed = min(now - self._checked_at, 2 * CHECK_SECONDS) if self._checked_at else 0.0
        self._checked_at = now
        self._silent_seconds = {
            worker: self._silent_seconds.get(worker, 0.0) + passed if self._beats.get(worker) == beat else 0.0
            for worker, beat in beats.items()
        }
        self._beats = beats
        return [worker for worker, seconds in self._silent_seconds.items() if seconds >= settings.DEAD_SECONDS]


class ProcessLock:
    """Tells a process that starts whether others serve the same SQLite database, on the same machine.

    All of them share the lock of a file beside the database. One that can lock it exclusively is alone.
    """

    def __init__(self) -> None:
        self._file: IO[str] | None = None
        self._is_shared = False

    def acquire(self) -> bool:
        """Share the lock until this process ends; return whether nobody else had it. False for other databases."""
        if connection.vendor != "sqlite":
            return False
        self._file = Path(f"{settings.DATABASES['default']['NAME']}.lock").open("w")  # noqa: SIM115  (kept open)
        is_alone = self._lock(self._file, fcntl.LOCK_EX)
        self.share()
        return is_alone

    def share(self) -> None:
        """Share the lock if nobody has it exclusively: a process that starts, or one of an earlier version."""
        if self._file and not self._is_shared:
            # The conversion is not atomic: a process that starts now may find itself alone and recover what this one
            # runs, whose next commit resumes that.
            self._is_shared = self._lock(self._file, fcntl.LOCK_SH)

    def release(self) -> None:
        if self._file:
            self._file.close()

    @staticmethod
    def _lock(file: IO[str], operation: int) -> bool:
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
