"""Rendering outside the server's process, for what is long, or reaches Pygments or math-core.

Pygments holds the interpreter's lock for milliseconds per kilobyte, some of its lexers backtrack without end
on hostile code, and math-core is native code that takes its process along if it fails. None of that may touch
a server that carries hundreds of streams, so it runs in a few processes of our own, with a time limit. The
standard library's pools will not do: one crashed worker breaks the whole pool, and a running job cannot be
stopped.
"""

import asyncio
import logging
import queue
import re
import socket
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from conversations.rendering import markdown
from conversations.rendering.worker import receive, send

# Prose of this length takes about 2 ms.
MAX_INLINE_CHARACTERS: Final = 8_000

_HEAVY = re.compile(r"```|~~~|^(?: {4}|\t)|\$|\\[(\[]", re.MULTILINE)
_ROOT: Final = Path(__file__).resolve().parents[2]

logger = logging.getLogger(__name__)


def is_light(text: str) -> bool:
    """Tell whether `text` may be rendered right here: short, and nothing in it for Pygments or math-core."""
    return len(text) <= MAX_INLINE_CHARACTERS and not _HEAVY.search(text)


class Pool:
    """A few rendering processes, started when first needed and replaced when they fail.

    A job waits up to `seconds` for a process and may run as long again. If it fails, the text comes back
    plain.
    """

    def __init__(self, *, processes: int, seconds: float) -> None:
        self._seconds = seconds
        # Last in, first out: with little to do, one process does all of it and the others are never started.
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(processes):
            self._idle.put(None)
        self._running: set[_Process] = set()
        self._hopeless: deque[int] = deque(maxlen=1_000)  # hashes of texts that took too long once
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="rendering")

    async def render(self, text: str, prefix: str) -> str:
        """Return what `markdown.render` returns, without holding the event loop."""
        if is_light(text):
            return markdown.render(text, prefix=prefix)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._render_outside, text, prefix)

    def render_sync(self, text: str, prefix: str) -> str:
        """Return what `markdown.render` returns; for views and commands."""
        if is_light(text):
            return markdown.render(text, prefix=prefix)
        return self._render_outside(text, prefix)

    def close(self) -> None:
        """End the processes, and with them any job that runs. A later job starts new ones."""
        for process in list(self._running):
            process.end()

    def _render_outside(self, text: str, prefix: str) -> str:
        if len(text) > markdown.MAX_CHARACTERS or hash(text) in self._hopeless:
            return markdown.plain(text)
        try:
            process = self._idle.get(timeout=self._seconds)
        except queue.Empty:
            logger.warning(
                "No rendering process was free for %s s; %s characters are shown plain",
                self._seconds,
                len(text),
            )
            return markdown.plain(text)
        try:
            if process is not None and process.has_ended():
                self._end(process)
                process = None
            if process is None:
                process = _Process(self._seconds)
                self._running.add(process)
            return process.render(text, prefix)
        except (OSError, EOFError) as error:
            logger.warning("A rendering process failed (%r); %s characters are shown plain", error, len(text))
            if isinstance(error, TimeoutError):
                self._hopeless.append(hash(text))
            if process is not None:
                self._end(process)
            return markdown.plain(text)
        finally:
            self._idle.put(process)

    def _end(self, process: "_Process") -> None:
        self._running.discard(process)
        process.end()


class _Process:
    def __init__(self, seconds: float) -> None:
        self._connection, theirs = socket.socketpair()
        self._connection.settimeout(seconds)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "conversations.rendering.worker"],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
                # The server's environment holds its secrets, and hostile text is about to be parsed.
                env={},
                # Ctrl-C in a terminal is meant for the server; the worker ends when its socket closes.
                start_new_session=True,
            )

    def render(self, text: str, prefix: str) -> str:
        """Raise OSError (TimeoutError is one) or EOFError if the process hangs or dies; it must be ended then."""
        send(self._connection, (text, prefix))
        return str(receive(self._connection))

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()


_pool = Pool(processes=2, seconds=5)
render = _pool.render
render_sync = _pool.render_sync
close = _pool.close
