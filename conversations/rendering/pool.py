"""Render in other processes: text that is long, or that needs Pygments or math-core.

Pygments holds the interpreter's lock for milliseconds per kilobyte, some of its lexers backtrack without end on hostile
code, and math-core is native code whose crash would end the process. A server with hundreds of streams must not depend
on any of this, so it runs in a few processes of its own, with a time limit. The standard library's pools do not fit:
one crashed worker breaks the whole pool, and a running job cannot be stopped.
"""

import logging
import queue
import re
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Final

from conversations.rendering import markdown
from conversations.rendering.cache import Cache, key_of
from conversations.rendering.worker import receive, send

# Prose of this length takes about 2 ms.
MAX_INLINE_CHARACTERS: Final = 8_000
CACHE_BYTES: Final = 64 * 2**20

_HEAVY = re.compile(r"```|~~~|^(?: {4}|\t)|\$|\\[(\[]", re.MULTILINE)
_ROOT: Final = Path(__file__).resolve().parents[2]

logger = logging.getLogger(__name__)


def is_light(text: str) -> bool:
    """Return whether `text` is short and has nothing for Pygments or math-core, so that it needs no other process."""
    return len(text) <= MAX_INLINE_CHARACTERS and not _HEAVY.search(text)


class Pool:
    """A few rendering processes, started when first needed and replaced when they fail.

    A job waits up to `seconds` for a process and may then run for as long. If it fails, the text is shown unformatted.
    What was rendered is kept in up to `CACHE_BYTES` of memory.
    """

    def __init__(self, *, processes: int, seconds: float) -> None:
        self._seconds = seconds
        # Last in, first out: with little work, one process does all of it and the others never start.
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(processes):
            self._idle.put(None)
        self._running: set[_Process] = set()
        self._cache = Cache(CACHE_BYTES)
        self._timed_out: deque[int] = deque(maxlen=1_000)  # hashes of texts, which are not tried again

    def render(self, text: str, prefix: str, *, highlighted: bool = True) -> str:
        """Return what `markdown.render` returns, or `markdown.preformatted` if that fails. Blocks the caller."""
        key = key_of(text, prefix if highlighted else f"{prefix} without highlighting")
        html = self._cache.get(key)
        if html is None:
            html = self._render(text, prefix, highlighted)
            if html is None:
                return markdown.preformatted(text)
            self._cache.add(key, html)
        return html

    def _render(self, text: str, prefix: str, highlighted: bool) -> str | None:
        """Return the HTML, or None if rendering fails."""
        if is_light(text):
            return markdown.render(text, prefix=prefix, highlighted=highlighted)
        if len(text) > markdown.MAX_CHARACTERS or hash(text) in self._timed_out:
            return None
        try:
            process = self._idle.get(timeout=self._seconds)
        except queue.Empty:
            logger.warning(
                "No rendering process was free for %s s; %s characters are shown unformatted", self._seconds, len(text)
            )
            return None
        try:
            if process is not None and process.has_ended():
                self._end(process)
                process = None
            if process is None:
                process = _Process(self._seconds)
                self._running.add(process)
            return process.render(text, prefix, highlighted)
        except (OSError, EOFError) as error:
            logger.warning("A rendering process failed (%r); %s characters are shown unformatted", error, len(text))
            if isinstance(error, TimeoutError):
                self._timed_out.append(hash(text))
            if process is not None:
                self._end(process)
            return None
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End the processes and any jobs in them. A later job starts new processes."""
        for process in list(self._running):
            process.end()

    def _end(self, process: "_Process") -> None:
        self._running.discard(process)
        process.end()


class _Process:
    def __init__(self, seconds: float) -> None:
        self._connection, child_end = socket.socketpair()
        self._connection.settimeout(seconds)
        with child_end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "conversations.rendering.worker"],
                stdin=child_end.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
                # The server's environment has its secrets, and the worker parses hostile text.
                env={},
                # Ctrl-C in a terminal is for the server; the worker ends when its socket closes.
                start_new_session=True,
            )

    def render(self, text: str, prefix: str, highlighted: bool) -> str:
        """Return the HTML. Raises OSError (TimeoutError is one) or EOFError if the process hangs or dies."""
        send(self._connection, (text, prefix, highlighted))
        return str(receive(self._connection))

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()


_pool = Pool(processes=2, seconds=5)
render = _pool.render
close = _pool.close
