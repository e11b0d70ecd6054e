"""Read each file in a process of its own, which ends with it.

Parsers of hostile files run out of memory, loop, and crash. They do so in a process without the server's secrets, with
limits that the kernel enforces, and one person's file is never in the memory of a process that reads another's.
"""

import json
import logging
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from conversations.extraction.kinds import Kind, text_kind
from conversations.extraction.result import DAMAGED, OUT_OF_MEMORY, Extracted, Limits, Picture

PROCESSES: Final = 2
WAIT_SECONDS: Final = 30  # for one of them

BUSY: Final = "The server is reading many other files. Try again in a minute."
INTERRUPTED: Final = "The server was interrupted while it read this file. Try again."
TOO_LONG: Final = "Reading this file takes too long. Attach only the part that you need."
TOO_MUCH_MEMORY: Final = "Reading this file takes too much memory. Attach only the part that you need."

_PROBLEMS: Final = {
    OUT_OF_MEMORY: TOO_MUCH_MEMORY,
    -signal.SIGABRT: TOO_MUCH_MEMORY,  # what Rust does without memory
    -signal.SIGALRM: TOO_LONG,
    -signal.SIGXCPU: TOO_LONG,
    -signal.SIGKILL: INTERRUPTED,
    -signal.SIGTERM: INTERRUPTED,
}
_ROOT: Final = Path(__file__).resolve().parents[2]
_DEFAULT_LIMITS: Final = Limits()

logger = logging.getLogger(__name__)
_free = threading.BoundedSemaphore(PROCESSES)


def extract(path: Path, name: str, limits: Limits = _DEFAULT_LIMITS) -> Extracted:
    """Return what is in the file at `path`, which its owner calls `name`. Blocks the caller for up to a minute.

    A file that cannot be read is a result with a `problem`, also if the process that reads it hangs, crashes or is
    killed. Raises OSError if `path` cannot be opened.
    """
    with path.open("rb") as file:
        if not _free.acquire(timeout=WAIT_SECONDS):
            return Extracted(kind=Kind.UNKNOWN, problem=BUSY, temporary=True)
        try:
            return _extract(file, text_kind(name), limits)
        except OSError:  # no process or no temporary file could be made
            logger.exception("A file could not be read")
            return Extracted(kind=Kind.UNKNOWN, problem=INTERRUPTED, temporary=True)
        finally:
            _free.release()


def _extract(file: BinaryIO, named: Kind | None, limits: Limits) -> Extracted:
    with TemporaryFile() as out, TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603  (a list of our own words, without a shell)
            [sys.executable, "-m", "conversations.extraction.worker", json.dumps([asdict(limits), named])],
            stdin=file,
            stdout=out,
            stderr=errors,
            cwd=_ROOT,
            env={},  # the server's has its secrets
            start_new_session=True,  # Ctrl-C in a terminal is for the server
        )
        try:
            status = process.wait(limits.wall_seconds)
        except subprocess.TimeoutExpired:
            status = -signal.SIGALRM
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        found = Extracted(kind=Kind.UNKNOWN)
        while result := _received(out.readline()):
            found = result
            if found.picture:
                found = replace(found, picture=replace(found.picture, data=out.read()))
        if status == 0:
            return found
        errors.seek(0)
        # The name of the exception alone: its message may quote the file.
        reason = errors.read().decode(errors="replace").strip().rpartition("\n")[2].partition(":")[0]
    problem = _PROBLEMS.get(status, DAMAGED)
    logger.warning("Reading a file (%s) ended with %s %s: %s", found.kind, status, reason[:100], problem)
    return Extracted(kind=found.kind, media_type=found.media_type, problem=problem, temporary=problem == INTERRUPTED)


def _received(line: bytes) -> Extracted | None:
    """Return a result, without the data of its picture; None if `line` is not complete."""
    if not line.endswith(b"\n"):
        return None
    fields = json.loads(line)
    picture = fields.pop("picture")
    return Extracted(
        **fields | {"kind": Kind(fields["kind"])}, picture=Picture(**picture, data=b"") if picture else None
    )
