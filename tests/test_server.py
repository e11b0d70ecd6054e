"""What websocket clients are sent, when senders wait for them, slow and large HTTP requests, and the server's loops."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from daphne.ws_protocol import WebSocketFactory
from django.conf import settings
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from chatsite import server
from chatsite.server import MAX_INCOMING, MAX_UNSENT, FlowControlledProtocol, LimitedHTTPFactory, Outbox
from chatsite.supervision import Supervisor


class Transport:
    """A connection whose kernel accepts `room` bytes, with Twisted's buffer behind it."""

    def __init__(self) -> None:
        self.connected = True
        self.room = 1_000_000
        self.sent = b""
        self.buffered = b""
        self.producer: Any = None

    def writeSomeData(self, data: bytes) -> int | Exception:  # noqa: N802
        taken = data[: self.room]
        self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def write(self, data: bytes) -> None:
        self.buffered += data

    def empty(self) -> None:
        """Let the client read everything, as Twisted notices it."""
        self.room = 1_000_000
        self.sent, self.buffered = self.sent + self.buffered, b""
        self.producer.resumeProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        assert self.producer is None
        assert not streaming  # a push producer is told only of a buffer that was full
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def getHandle(self) -> Any:  # noqa: N802
        return SimpleNamespace(setsockopt=lambda *option: None)

    def getPeer(self) -> str:  # noqa: N802
        return "a client"


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def protocol(transport: Transport) -> FlowControlledProtocol:
    transport.producer = "the HTTP connection"
    factory = WebSocketFactory(SimpleNamespace())
    factory.protocol = FlowControlledProtocol
    factory.setProtocolOptions(openHandshakeTimeout=0, maxMessagePayloadSize=MAX_INCOMING)
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(transport)
    protocol.state = protocol.STATE_OPEN
    return protocol


@pytest.fixture
def outbox(protocol: FlowControlledProtocol) -> Outbox:
    return protocol.outbox


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, "81 00"),
        (5, "81 05"),
        (125, "81 7d"),
        (126, "81 7e 00 7e"),
        (65_535, "81 7e ff ff"),
        (65_536, "81 7f 00 00 00 00 00 01 00 00"),
        (2 * MAX_INCOMING, "81 7f 00 00 00 00 00 02 00 00"),  # the limit for incoming messages does not apply
    ],
)
def test_a_text_of_any_length_is_sent_at_once_as_one_frame(
    outbox: Outbox, transport: Transport, length: int, head: str
):
    outbox.send("x" * length)
    assert transport.sent == bytes.fromhex(head) + b"x" * length  # RFC 6455, 5.2 and 5.7
    assert transport.buffered == b""


def test_the_length_of_a_frame_is_counted_in_bytes(outbox: Outbox, transport: Transport):
    outbox.send("é")
    assert transport.sent == b"\x81\x02\xc3\xa9"


def test_frames_follow_each_other_when_the_kernel_takes_only_a_part(
    outbox: Outbox, protocol: FlowControlledProtocol, transport: Transport
):
    transport.room = 3
    outbox.send("abc")
    transport.room = 1_000_000  # the client reads, but Twisted has not written the rest yet
    outbox.send("def")
    protocol.sendPing()
    assert (transport.sent, transport.buffered) == (b"\x81\x03a", b"bc\x81\x03def\x89\x00")
    transport.empty()
    outbox.send("ghi")
    assert transport.sent.endswith(b"\x81\x03ghi")
    assert transport.buffered == b""


def test_an_error_of_the_connection_is_left_to_twisted(outbox: Outbox, transport: Transport):
    transport.writeSomeData = lambda data: ConnectionError()
    outbox.send("abc")
    assert transport.buffered == b"\x81\x03abc"


def test_a_lost_or_closing_connection_is_sent_nothing(
    outbox: Outbox, protocol: FlowControlledProtocol, transport: Transport
):
    transport.connected = False
    outbox.send("abc")
    transport.connected, protocol.state = True, protocol.STATE_CLOSING
    outbox.send("abc")
    assert (transport.sent, transport.buffered) == (b"", b"")


async def test_senders_wait_for_a_client_that_does_not_read(outbox: Outbox, transport: Transport):
    transport.room = 0
    outbox.send("x" * (MAX_UNSENT - 10))
    assert not await outbox.drained()  # within the limit
    outbox.send("y" * 100)
    waiting = asyncio.create_task(outbox.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    transport.empty()
    assert await waiting
    assert not await outbox.drained()


async def test_of_several_senders_one_goes_on_and_the_others_wait_again(outbox: Outbox, transport: Transport):
    sent = []

    async def send(name: str) -> None:
        await outbox.drained()
        sent.append(name)
        transport.room = 0
        outbox.send("x" * 2 * MAX_UNSENT)

    async with asyncio.TaskGroup() as tasks:
        for name in ("first", "second", "third"):
            tasks.create_task(send(name))
        for seen in (["first"], ["first", "second"], ["first", "second", "third"]):
            for _ in range(5):
                await asyncio.sleep(0)
            assert sent == seen
            transport.empty()


async def test_nobody_waits_for_a_connection_that_is_lost(outbox: Outbox, transport: Transport):
    transport.room = 0
    outbox.send("x" * 2 * MAX_UNSENT)
    waiting = asyncio.create_task(outbox.drained())
    await asyncio.sleep(0)
    transport.connected = False
    transport.producer.stopProducing()
    await asyncio.wait_for(waiting, 5)


class Connection:
    """An HTTP connection to the server, with a clock of its own. `paths` are those of requests that are complete."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.requests: list[Any] = []
        self.clock = Clock()
        self.transport = StringTransport()
        factory = LimitedHTTPFactory(self)
        self.channel = factory.buildProtocol(None)
        self.channel.callLater = self.clock.callLater
        self.channel.makeConnection(self.transport)
        self.proxy_forwarded_address_header = None
        self.root_path = self.server_name = ""
        self.request_buffer_size = 8192

    def protocol_connected(self, request: Any) -> None:
        self.requests.append(request)

    def protocol_disconnected(self, request: Any) -> None:
        pass

    def log_action(self, *event: Any) -> None:
        pass

    def create_application(self, request: Any, scope: dict[str, Any]) -> asyncio.Queue[Any]:
        self.paths.append(scope["path"])
        return asyncio.Queue()

    def send(self, data: bytes, *, every: float = 0) -> None:
        """Send data; with `every`, one byte each so many seconds, until the server closes the connection."""
        for byte in [data[i : i + 1] for i in range(len(data))] if every else [data]:
            if not self.is_closed:
                self.channel.dataReceived(byte)
                self.clock.advance(every)

    def respond(self) -> None:
        request = self.requests.pop(0)
        request.handle_reply({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        request.handle_reply({"type": "http.response.body"})

    @property
    def is_closed(self) -> bool:
        return self.transport.disconnecting


POST = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: ", POST % 1000], ids=repr)
def test_a_request_that_drips_is_closed_after_a_minute(start: bytes):
    connection = Connection()
    connection.send(start)
    connection.send(b"a" * 1000, every=1)
    assert connection.is_closed
    assert connection.clock.seconds() == server.REQUEST_SECONDS
    assert connection.paths == []


def test_a_request_that_is_in_time_is_served_however_often_and_however_late_the_response():
    connection = Connection()
    for number in range(1, 4):
        connection.clock.advance(server.REQUEST_SECONDS - 1)  # idle, between two requests
        connection.send(POST % 50)
        connection.send(b"a" * 50, every=1)
        assert connection.paths == ["/slow"] * number
        connection.clock.advance(10 * server.REQUEST_SECONDS)  # until the response
        connection.respond()
    assert not connection.is_closed
    connection.clock.advance(server.REQUEST_SECONDS)
    assert connection.is_closed


def test_a_large_body_has_a_minute_for_each_part_of_it():
    connection = Connection()
    connection.send(POST % (4 * server.PROGRESS))
    for _ in range(4):
        connection.clock.advance(server.REQUEST_SECONDS - 1)
        connection.send(b"a" * server.PROGRESS)
    assert connection.paths == ["/slow"]
    connection.respond()


FILES = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "content_type", "length", "is_accepted"),
    [
        (b"/attachments/", b"multipart/form-data; boundary=x", 9_000, True),
        (b"/attachments/", b"multipart/form-data; boundary=x", 11_000, False),
        (b"/messages/7/edit/?a=b", b"multipart/form-data; boundary=x", 9_000, True),
        (b"/conversations/", b"application/x-www-form-urlencoded", 9_000, False),
        (b"/accounts/login/", b"multipart/form-data; boundary=x", 9_000, False),
        (b"/accounts/login/", b"multipart/form-data; boundary=x", 900, True),
    ],
)
def test_bodies_are_larger_only_where_files_are_attached(
    path: bytes, content_type: bytes, length: int, is_accepted: bool, settings
):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.UPLOAD_BYTES = 1_000, 10_000
    connection = Connection()
    connection.send(FILES % (path, content_type, length))
    connection.send(b"a" * length)
    assert connection.paths == [path.decode().partition("?")[0]] * is_accepted
    assert connection.transport.value().startswith(b"HTTP/1.1 413 ") != is_accepted


@pytest.mark.parametrize("status", [400, 413])
def test_responses_without_django_are_plain_pages_that_browsers_take_as_they_are(status: int):
    connection = Connection()
    if status == 400:
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x0b\r\n\r\n")
    else:
        connection.send(POST % (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
        connection.send(b"a" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    head, _, body = connection.transport.value().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"x-content-type-options: nosniff" in head.lower()
    assert b"content-security-policy: default-src 'none'" in head.lower()
    assert b"<style" not in body


@pytest.mark.parametrize("loop", ["application_checker", "timeout_checker"])
def test_a_failure_in_daphnes_own_loops_is_reported(loop: str, monkeypatch: pytest.MonkeyPatch):
    supervisor = Supervisor()
    monkeypatch.setattr(server, "supervisor", supervisor)
    daphne = server.Server(None, host="127.0.0.1", port=0, start=lambda _: None, stop=lambda: None)
    daphne.connections = {"no protocol": None}
    getattr(daphne, loop)()
    assert len(supervisor.dead) == 1
