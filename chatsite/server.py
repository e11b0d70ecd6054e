"""Daphne with what it leaves to others: a start and an end around the loop, a body limit, a socket's unsent bytes.

Daphne has no ASGI lifespan, keeps request bodies whole in memory and tells nobody how much a slow client has not
read. The hooks below are its and Twisted's own methods, some of them private: tests notice when they change.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import daphne.server
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from twisted.internet import reactor
from twisted.internet.defer import Deferred

logger = logging.getLogger(__name__)

SOCKET_BUFFER = 64 * 1024  # bytes the kernel may hold for a client that does not read
BACKLOG = 1024  # connections the kernel keeps for us: after a restart every browser comes back at once
LARGEST_FRAME = 64 * 1024  # bytes of a websocket message from a browser, which never has a reason to send any
ACCEPT_SECONDS = 20
PING_SECONDS = 20  # under every proxy's idle limit (Azure Container Apps: 240 s)

TOO_LARGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>This request is too large</title>"
    "<h1>This request is too large</h1><p>The limit is %d MB. Go back: what you typed is still there. "
    "Shorten it and send it again.</p>"
)


class LimitedRequest(WebRequest):
    """A request whose body is not kept once it is over the limit; it is answered with 413 when it has been sent."""

    _received = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self._received += len(data)
        if self._received <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            super().handleContentChunk(data)

    def process(self) -> Any:
        if self._received <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return super().process()
        self.client_addr = None
        body = (TOO_LARGE % (settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20)).encode()
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", b"default-src 'none'"),
        ]
        self.handle_reply({"type": "http.response.start", "status": 413, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": body})
        return None


class LimitedHTTPFactory(HTTPFactory):
    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = LimitedRequest
        return protocol


class OneWayProtocol(WebSocketProtocol):
    """A websocket that may send messages of any size, and receive small ones only."""

    def unsent(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        transport = self.transport
        return len(transport.dataBuffer) - transport.offset + transport._tempDataLen

    def send_text(self, text: str) -> None:
        """Write a message as one frame (RFC 6455, 5.2), at once.

        Autobahn's way holds what is sent to the limit that is meant for what is received, and leaves the writing to
        Twisted, which first has the event loop tell when it may: that costs more than all else that sends a frame.
        Daphne's sends no empty text, which tells a page that we live.
        """
        if self.state != self.STATE_OPEN:
            return  # it is closing: the consumer hears of that next
        payload = text.encode()
        frame = frame_head(len(payload)) + payload
        sent = 0 if self.unsent() else self.transport.writeSomeData(frame)
        if not isinstance(sent, int):
            sent = 0  # the connection is lost, as Twisted finds by itself when it tries
        if sent < len(frame):
            self.transport.write(frame[sent:])


def frame_head(length: int) -> bytes:
    """Return what stands before a text of so many bytes when it is sent whole and unmasked, as a server's are."""
    if length < 126:
        return struct.pack("!BB", 0x81, length)
    return struct.pack("!BBH", 0x81, 126, length) if length < 2**16 else struct.pack("!BBQ", 0x81, 127, length)


class OneWayFactory(WebSocketFactory):
    protocol = OneWayProtocol


class Server(daphne.server.Server):
    """Daphne, awaiting `start` when the loop runs and `stop` before it ends."""

    def __init__(
        self,
        application: Any,
        *,
        host: str,
        port: int,
        start: Callable[["Server"], Awaitable[object]],
        stop: Callable[[], Awaitable[object]],
    ) -> None:
        # Daphne builds its factories by these names, inside `run`.
        daphne.server.HTTPFactory = LimitedHTTPFactory
        daphne.server.WebSocketFactory = OneWayFactory
        interface = host.replace(":", r"\:")
        super().__init__(
            application,
            endpoints=[f"tcp:port={port}:interface={interface}:backlog={BACKLOG}"],
            # As long as the application may take to accept: a busy site is late, and does not have browsers ask again.
            websocket_handshake_timeout=ACCEPT_SECONDS,
            websocket_connect_timeout=ACCEPT_SECONDS,
            websocket_timeout=-1,  # else sockets close after a day with a code that says not to come back
            websocket_max_message_size=LARGEST_FRAME,
            websocket_max_frame_size=LARGEST_FRAME,
            ping_interval=PING_SECONDS,
            server_name="",
        )
        self._start = start
        self._stop = stop
        self.failed = False

    def run(self) -> None:
        reactor.callWhenRunning(lambda: asyncio.ensure_future(self._begin()))
        super().run()

    async def _begin(self) -> None:
        try:
            await self._start(self)
        except Exception:
            # Whatever it is: raised in a task, it would leave a server that listens and does nothing.
            logger.exception("the site could not start")
            self.failed = True
            self.stop()

    def kill_all_applications(self) -> Deferred:
        """Drain before the reactor ends.

        Daphne's own is not called: it raises when one socket's consumer has already returned, and cancels nothing then.
        """
        return Deferred.fromFuture(asyncio.ensure_future(self._stop()))

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            protocol.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
            scope |= {"unsent": protocol.unsent, "send_text": protocol.send_text}
        return super().create_application(protocol, scope)

    def listen_error(self, failure: Any) -> None:
        self.failed = True
        super().listen_error(failure)
