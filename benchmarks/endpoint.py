"""A model endpoint that costs next to nothing: prepared bytes, written when they are due, and the time noted.

It speaks as much HTTP as one well-behaved client needs. What a request is answered with is told by the name that its
last message holds.
"""

import asyncio
import json
import re

from benchmarks.texts import Play

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_NAME = re.compile(r"\bplay-[0-9a-f-]+")


class Endpoint:
    """The server; `plays` by the name in the prompt. Runs on the event loop that the readers run on: one clock."""

    def __init__(self) -> None:
        self.plays: dict[str, Play] = {}
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

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

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
        play = self._endpoint.plays.get(name[0]) if name else None
        if play is None:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        now = self._loop.time()
        play.requested.append(now)
        self._transport.write(HEAD)
        self._send(play, now)

    def _send(self, play: Play, begun: float) -> None:
        """Write the delta that is due, each in a packet of its own, and wait for the next one's time."""
        script, number = play.script, len(play.sent)
        play.late.append(self._loop.time() - begun - number * script.seconds)
        play.sent.append(self._loop.time())
        self._transport.write(script.deltas[number])
        if number + 1 == len(script.deltas):
            self._transport.write(script.ending + END)
        else:
            self._timer = self._loop.call_at(begun + (number + 1) * script.seconds, self._send, play, begun)
