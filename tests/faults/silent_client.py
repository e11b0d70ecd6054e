"""A client that opens a websocket and then neither reads nor sends anything."""

import base64
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from tests.site import Person

RECEIVE_BUFFER = 4096  # bytes: about the minimum that Linux allows


class SilentClient:
    """An open websocket on a plain TCP connection; a context manager."""

    def __init__(self, person: Person, conversation: str) -> None:
        site = urlsplit(person.site.url)
        self.connection = socket.socket()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.connection.settimeout(30)
        self.connection.connect((site.hostname, site.port))
        cookies = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())
        self.connection.sendall(
            f"GET /ws{conversation} HTTP/1.1\r\nHost: {site.netloc}\r\nCookie: {cookies}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode()
        )
        assert b" 101 " in self.connection.recv(64)

    @property
    def port(self) -> int:
        return self.connection.getsockname()[1]

    def __enter__(self) -> "SilentClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def unread(ports: set[int]) -> int:
    """Return how many bytes sent to these ports are in the senders' buffers in the kernel."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(queues.partition(":")[0], 16)
        for _, _, remote, _, queues, *_ in lines
        if int(remote.partition(":")[2], 16) in ports
    )
