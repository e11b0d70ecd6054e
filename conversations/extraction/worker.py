"""A reading process: read the file on standard input, write what is in it to standard output, and end.

`process` starts it, and says why. It must import neither Django nor anything that has a secret.
"""

import json
import logging
import resource
import signal
import sys
from dataclasses import asdict, replace
from typing import BinaryIO, Final

from conversations.extraction.kinds import Kind
from conversations.extraction.read import identify, read
from conversations.extraction.result import OUT_OF_MEMORY, Extracted, Limits, Unreadable

MAX_RESULT_BYTES: Final = 64 * 2**20

# Python's audit events for what nothing here does.
_REFUSED: Final = (
    *("socket.", "subprocess.", "pty.spawn"),
    *("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system"),
)


def restrict(limits: Limits) -> None:
    """Limit what this process may take, and let it neither connect to anything nor start a program."""
    for what, limit in (
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_DATA, limits.memory_bytes),  # without the libraries themselves, unlike RLIMIT_AS
        (resource.RLIMIT_FSIZE, MAX_RESULT_BYTES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    # If the server has died, nothing else ends a process that hangs.
    signal.alarm(limits.wall_seconds + 5)
    sys.addaudithook(_refuse)


def _refuse(event: str, _: object) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(f"{event} is refused")


def serve(file: BinaryIO, out: BinaryIO, named: Kind | None, limits: Limits) -> None:
    """Write what kind of file it is, which is then known whatever happens, and after that what is in it."""
    found = Extracted(kind=Kind.UNKNOWN)
    try:
        kind, media_type = identify(file, named, limits)
        found = Extracted(kind=kind, media_type=media_type)
        _send(found, out)
        found = read(file, kind, media_type, limits)
    except Unreadable as unreadable:
        found = replace(found, problem=str(unreadable))
    _send(found, out)


def _send(found: Extracted, out: BinaryIO) -> None:
    """Write a line of JSON, and the encoded picture after it."""
    fields = asdict(found)
    data = fields["picture"].pop("data") if found.picture else b""
    out.write(json.dumps(fields).encode() + b"\n" + data)
    out.flush()


def main() -> None:
    """Read the limits, and the kind of text that the file's name promises, from the arguments."""
    limits, named = json.loads(sys.argv[1])
    logging.disable()  # libraries log what they do not like about a file
    try:
        restrict(Limits(**limits))
        serve(sys.stdin.buffer, sys.stdout.buffer, Kind(named) if named else None, Limits(**limits))
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
