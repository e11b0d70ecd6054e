"""Supervise the background loops of a serving process: if one of them ends, the process has to end too.

Without its loops a process still responds, but stores no text, hears of no event or claims nothing, and nobody notices.
A fresh process is better, and every supervisor of processes starts one: Compose, Kubernetes, systemd.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Supervisor:
    """The loops of this process. `dead` has the names of those that ended; `on_death` is called for each."""

    def __init__(self) -> None:
        self.dead: list[str] = []
        self.on_death: Callable[[], object] = lambda: None

    def start(self, name: str, loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `loop`, which must not end before its task is cancelled. The caller keeps the task."""
        task = asyncio.get_running_loop().create_task(loop, name=name, context=contextvars.Context())
        task.add_done_callback(self._ended)
        return task

    def report_death(self, name: str, error: BaseException | None) -> None:
        """Note that a loop has ended, log why, and have the process end."""
        logger.critical("the background loop %r has ended: this process drains and exits", name, exc_info=error)
        self.dead.append(name)
        self.on_death()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelling():  # else it was meant to end
            self.report_death(task.get_name(), None if task.cancelled() else task.exception())


supervisor = Supervisor()
