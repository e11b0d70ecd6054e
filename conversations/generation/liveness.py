"""Detect dead workers by their heartbeats."""

import time

from django.conf import settings

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
