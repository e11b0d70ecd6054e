"""Let a test ask a serving process by signals.

SIGUSR1: print its asyncio tasks. SIGUSR2: make its next sweep fail as no database does. SIGRTMIN: collect garbage, and
print how many objects of at most 512 bytes are left (larger ones are not counted by Python).

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


def print_objects(_signal: int, _frame: FrameType | None) -> None:
    import gc
    import sys

    gc.collect()
    os.write(1, f"objects: {sys.getallocatedblocks()}\n".encode())


signal.signal(signal.SIGUSR1, print_tasks)
signal.signal(signal.SIGUSR2, break_sweeps)
signal.signal(signal.SIGRTMIN, print_objects)
