"""A rendering process: read jobs from standard input, which is a socket, and answer on it until it closes.

`pool` starts it and says why. It must import neither Django nor anything that has a secret.
"""

import json
import resource
import signal
import socket
import struct
import sys
from typing import Any, Final

from conversations.rendering import markdown

# If the server has died, nothing else ends a worker that hangs in a regular expression. The default action of SIGALRM
# does not need the code's cooperation.
MAX_SECONDS_PER_JOB: Final = 10
MAX_MEMORY_BYTES: Final = 2**30

_LENGTH = struct.Struct("!I")


def send(connection: socket.socket, message: object) -> None:
    """Write `message` as length-prefixed JSON. Raises OSError if the other end has closed or does not read."""
    payload = json.dumps(message).encode()
    connection.sendall(_LENGTH.pack(len(payload)) + payload)


def receive(connection: socket.socket) -> Any:
    """Return the next message. Raises EOFError if the other end has closed, and OSError as a socket does."""
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
    """Render the texts that arrive on `connection` until it closes."""
    while True:
        try:
            text, prefix, highlighted = receive(connection)
        except EOFError:
            return
        signal.alarm(MAX_SECONDS_PER_JOB)
        html = markdown.render(text, prefix=prefix, highlighted=highlighted)
        signal.alarm(0)
        send(connection, html)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    with socket.socket(fileno=sys.stdin.fileno()) as stdin:
        serve(stdin)
