"""A model endpoint with almost no cost of its own: it writes prepared bytes when they are due and records the time.

It implements only the HTTP that the SDK's client needs. The name in a request's last message selects the response.
"""

import asyncio
import json
import re
from typing import cast

from benchmarks.texts import Playback

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_NAME = re.compile(r"\bplayback-[0-9a-f-]+")


class Endpoint:
    """The server. `playbacks` maps the name in a prompt to its response.

    It runs on the readers' event loop, so both use the same clock.
    """

    def __init__(self) -> None:
        self.playbacks: dict[str, Playback] = {}
        self.base_url = ""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def close(self) -> None:
        if self._server:
            self._server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # what a TCP server creates

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not separator or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        name = _NAME.search(json.loads(body)["messages"][-1]["content"])
        playback = self._endpoint.playbacks.get(name[0]) if name else None
        if playback is None:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        now = self._loop.time()
        playback.requested.append(now)
        self._transport.write(HEAD)
        self._send(playback, now)

    def _send(self, playback: Playback, started: float) -> None:
        """Write the next delta, in a packet of its own, and schedule the one after it."""
        script, number = playback.script, len(playback.sent)
        playback.late.append(self._loop.time() - started - number * script.seconds)
        playback.sent.append(self._loop.time())
        self._transport.write(script.deltas[number])
        if number + 1 == len(script.deltas):
            self._transport.write(script.ending + END)
        else:
            self._timer = self._loop.call_at(started + (number + 1) * script.seconds, self._send, playback, started)
