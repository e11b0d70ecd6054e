"""Print a process's asyncio tasks on SIGUSR1, and make its next sweep fail as no database does on SIGUSR2.

The settings of the tests' sites import this module.
"""

import os
import signal
from types import FrameType


def print_tasks(_signal: int, _frame: FrameType | None) -> None:
    import asyncio
    import json
    from collections import Counter

    tasks = Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks(asyncio.get_running_loop()))
    os.write(1, f"tasks: {json.dumps(tasks)}\n".encode())


def break_sweeps(_signal: int, _frame: FrameType | None) -> None:
    from conversations.generation import recovery

    def fail(*_arguments: object) -> None:
        raise RuntimeError("a fault of this site")

    recovery.stop_queued_of_deactivated = fail


signal.signal(signal.SIGUSR1, print_tasks)
signal.signal(signal.SIGUSR2, break_sweeps)
