"""A rendering process: reads jobs from its standard input, a socket, and answers on it until the other side
closes.

Started by `pool`, which says why. It must import neither Django nor anything that holds a secret.
"""

import json
import resource
import signal
import socket
import struct
import sys
from typing import Final

from conversations.rendering import markdown

# An orphan stuck in a regular expression ends itself: the default action of SIGALRM needs no cooperation from
# the code that hangs.
SECONDS_PER_JOB: Final = 10
MAX_MEMORY_BYTES: Final = 2**30

_LENGTH = struct.Struct("!I")


def send(connection: socket.socket, message: object) -> None:
    """Write `message` as length-prefixed JSON. Raises OSError if the other side is gone or does not read."""
    payload = json.dumps(message).encode()
    connection.sendall(_LENGTH.pack(len(payload)) + payload)


def receive(connection: socket.socket) -> object:
    """Return the next message. Raises EOFError when the other side has closed, OSError as a socket does."""
    (length,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
    return json.loads(_read(connection, length))


def _read(connection: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return data


def serve(connection: socket.socket) -> None:
    """Render what arrives on `connection` until it closes."""
    while True:
        try:
            text, prefix = receive(connection)
        except EOFError:
            return
        signal.alarm(SECONDS_PER_JOB)
        html = markdown.render(text, prefix=prefix)
        signal.alarm(0)
        send(connection, html)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    with socket.socket(fileno=sys.stdin.fileno()) as stdin:
        serve(stdin)
