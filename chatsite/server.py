"""Daphne, with flow control for websockets, and callbacks for its start.

Daphne has no ASGI lifespan and does not report whether a client reads what it is sent. Only public names of Daphne,
Autobahn and Twisted are used.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import daphne.server
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IPullProducer
from twisted.logger import ILogObserver, globalLogBeginner
from zope.interface import implementer

from chatsite import metrics
from chatsite.http_protocol import LimitedHTTPFactory
from chatsite.supervision import supervisor

logger = logging.getLogger(__name__)
reactor = cast(Any, installed_reactor)  # typed as a module of interfaces, whose methods lack `self`

SOCKET_BUFFER = 64 * 1024  # bytes in the kernel for a client that does not read
MAX_UNSENT = 64 * 1024  # bytes in this process for it; more are sent only when these have been read
BACKLOG = 1024  # connections waiting to be accepted: after a restart every browser reconnects at once
MAX_INCOMING = 64 * 1024  # bytes of a websocket message from a browser, which has no reason to send any
ACCEPT_SECONDS = 20
PING_SECONDS = 20  # below the idle limit of every proxy (Azure Container Apps: 240 s)
PONG_SECONDS = 30  # then a client that does not respond is disconnected


@implementer(IPullProducer)
class Outbox:
    """What is sent to one websocket client; `scope["outbox"]` of its consumer.

    It is registered as the producer of the connection, so Twisted calls `resumeProducing` whenever its buffer has
    been sent. In between, the bytes written to that buffer are counted.
    """

    def __init__(self, protocol: "FlowControlledProtocol") -> None:
        self._protocol = protocol
        self._unsent = 0  # bytes written since Twisted's buffer was last empty
        self._empty = asyncio.Event()
        protocol.unregisterProducer()  # the HTTP connection that this one was upgraded from
        protocol.registerProducer(self, streaming=False)

    def send(self, text: str) -> None:
        """Send `text` of any length, also none, as one frame; nothing if the connection is closing."""
        if self._protocol.state == self._protocol.STATE_OPEN:
            # A prepared message is not held to the limit for incoming ones, as one of `sendMessage` would be.
            message = self._protocol.factory.prepareMessage(text.encode(), doNotCompress=True)
            self._protocol.sendPreparedMessage(message)

    async def drained(self) -> bool:
        """Wait while more than `MAX_UNSENT` bytes have not been sent; return whether that took any waiting."""
        if self._unsent <= MAX_UNSENT:
            return False
        metrics.LATE_FRAMES.inc()
        while self._unsent > MAX_UNSENT:  # another task may have been quicker
            self._empty.clear()
            await self._empty.wait()
        return True

    def write(self, data: bytes) -> None:
        """Write bytes at once where the kernel accepts them, and leave the rest to Twisted.

        Twisted alone would first wait for the event loop to report that the socket is writable, which costs more than
        the rest of sending a frame.
        """
        transport = self._protocol.transport
        if not transport.connected:
            return
        if not self._unsent:
            sent = transport.writeSomeData(data)
            if isinstance(sent, int):  # else an error, which Twisted meets and handles when it writes
                data = data[sent:]
        if data:
            self._unsent += len(data)
            transport.write(data)

    def resumeProducing(self) -> None:  # noqa: N802
        self._unsent = 0
        self._empty.set()

    def stopProducing(self) -> None:  # noqa: N802
        """Let senders go on: the connection is lost, and their frames are dropped."""
        self.resumeProducing()


class FlowControlledProtocol(WebSocketProtocol):
    """A websocket connection all of whose bytes are sent through an `Outbox`."""

    outbox: Outbox

    def connectionMade(self) -> None:  # noqa: N802
        self.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        self.outbox = Outbox(self)
        super().connectionMade()

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:  # noqa: N802
        self.outbox.write(data)


class Server(daphne.server.Server):
    """Daphne, awaiting `start` when it listens and `stop` before it ends."""

    def __init__(
        self,
        application: Any,
        *,
        host: str,
        port: int,
        start: Callable[["Server"], Awaitable[object]],
        stop: Callable[[], Awaitable[object]],
    ) -> None:
        interface = host.replace(":", r"\:")
        super().__init__(
            application,
            endpoints=[f"tcp:port={port}:interface={interface}:backlog={BACKLOG}"],
            websocket_connect_timeout=ACCEPT_SECONDS,
            websocket_timeout=-1,  # else sockets are closed after a day with a code that says not to reconnect
            ping_interval=PING_SECONDS,
            server_name="",
        )
        self._start = start
        self._stop = stop
        self._stopping = False
        self.failed = False

    def run(self) -> None:
        """Serve until a signal or `stop`.

        This replaces Daphne's method, which creates its own factories and has no parameter for others.
        """
        self.connections: dict[Any, dict[str, Any]] = {}
        self.http_factory = LimitedHTTPFactory(self)
        self.ws_factory = WebSocketFactory(self, server=self.server_name)
        self.ws_factory.protocol = FlowControlledProtocol
        self.ws_factory.setProtocolOptions(
            allowNullOrigin=True,  # the application checks origins
            autoPingTimeout=PONG_SECONDS,
            openHandshakeTimeout=ACCEPT_SECONDS,  # as long as the application may take, so that busy sites do not retry
            maxMessagePayloadSize=MAX_INCOMING,
            maxFramePayloadSize=MAX_INCOMING,
        )
        discard = cast(ILogObserver, lambda event: None)
        globalLogBeginner.beginLoggingTo([discard], redirectStandardIO=False, discardBuffer=True)
        asyncio.set_event_loop(daphne.server.twisted_loop)
        reactor.callWhenRunning(lambda: _deferred(self._begin()))
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        reactor.addSystemEventTrigger("before", "shutdown", lambda: _deferred(self._end()))
        reactor.run()

    def fail(self) -> None:
        """Stop as after a signal, with `failed` set. Call this on the event loop."""
        if not self.failed and not self._stopping:
            self.stop()
        self.failed = True

    def application_checker(self) -> None:
        self._check("applications", super().application_checker)

    def timeout_checker(self) -> None:
        self._check("timeouts", super().timeout_checker)

    def _check(self, name: str, check: Callable[[], None]) -> None:
        """Call one of Daphne's methods that schedule their next call at their end."""
        try:
            check()
        except Exception as error:  # noqa: BLE001  (Twisted would discard it, and there would be no next call)
            supervisor.report_death(name, error)

    async def _begin(self) -> None:
        try:
            listening = serverFromString(reactor, self.endpoints[0]).listen(self.http_factory)
            self.listen_success(await listening.asFuture(asyncio.get_running_loop()))
            await self._start(self)
        except Exception:
            # Of any kind: an exception in a task would leave a server that listens and does nothing.
            logger.exception("the site could not start")
            self.fail()

    async def _end(self) -> None:
        self._stopping = True
        try:
            await self._stop()
        except Exception:
            # Of any kind: Twisted would discard it, and the process would exit with 0.
            logger.exception("the site did not stop cleanly")
            self.failed = True

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if message.get("more_body"):
            await protocol.drained()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            scope["outbox"] = protocol.outbox
        else:
            scope["body"], scope["release"] = protocol.take_body(), protocol.release
        return super().create_application(protocol, scope)


def _deferred(coroutine: Coroutine[Any, Any, None]) -> Deferred[None]:
    return Deferred.fromFuture(asyncio.ensure_future(coroutine))
