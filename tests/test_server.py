"""What websocket clients are sent, when senders wait for them, slow and large HTTP requests, and the server's loops."""

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from daphne.ws_protocol import WebSocketFactory
from django.conf import settings
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from chatsite import http_protocol, server
from chatsite.http_protocol import HeldBytes, LimitedHTTPFactory, LimitedRequest
from chatsite.server import MAX_INCOMING, MAX_UNSENT, FlowControlledProtocol, Outbox
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


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNK = {"type": "http.response.body", "body": b"x", "more_body": True}


def streaming() -> tuple[Connection, Any]:
    """Return a connection and its request, to which the response has begun."""
    connection = Connection()
    connection.send(GET)
    [request] = connection.requests
    request.handle_reply({"type": "http.response.start", "status": 200, "headers": []})
    request.handle_reply(CHUNK)
    return connection, request


async def test_a_streamed_response_waits_for_a_client_that_does_not_read():
    connection, request = streaming()
    await asyncio.wait_for(request.drained(), 5)
    connection.channel.pauseProducing()  # as Twisted does when its buffer is full
    waiting = asyncio.create_task(request.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    connection.channel.resumeProducing()
    await asyncio.wait_for(waiting, 5)
    request.handle_reply({"type": "http.response.body"})
    assert connection.transport.value().endswith(b"x\r\n0\r\n\r\n")
    connection.send(GET)  # the connection can be used again
    assert connection.paths == ["/", "/"]


async def test_a_streamed_response_goes_on_when_its_client_is_gone():
    connection, request = streaming()
    connection.channel.pauseProducing()
    waiting = asyncio.create_task(request.drained())
    await asyncio.sleep(0)
    connection.channel.stopProducing()  # as Twisted does then
    await asyncio.wait_for(waiting, 5)


async def test_a_client_that_reads_nothing_of_a_streamed_response_is_disconnected(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_protocol, "READ_SECONDS", 0)
    connection, request = streaming()
    connection.channel.pauseProducing()
    await request.drained()
    assert connection.transport.disconnected


def test_an_error_in_the_middle_of_a_response_ends_the_connection():
    connection = Connection()
    connection.send(GET)
    [request] = connection.requests
    request.handle_reply({"type": "http.response.start", "status": 200, "headers": []})
    request.handle_reply(CHUNK)
    request.basic_error(500, b"Internal Server Error", "Exception inside application.")
    assert connection.transport.disconnected
    assert b"Internal Server Error" not in connection.transport.value()


def test_a_request_of_the_api_that_is_too_large_is_refused_in_json():
    connection = Connection()
    connection.send(POST.replace(b"/slow", b"/api/v1/conversations/") % (5 * 2**20))
    connection.send(b"a" * 5 * 2**20)
    reply = connection.transport.value()
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in reply
    assert b'"code": "request_entity_too_large"' in reply


POST = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: ", POST % 1000], ids=repr)
def test_a_request_that_drips_is_closed_after_a_minute(start: bytes):
    connection = Connection()
    connection.send(start)
    connection.send(b"a" * 1000, every=1)
    assert connection.is_closed
    assert connection.clock.seconds() == http_protocol.REQUEST_SECONDS
    assert connection.paths == []


def test_a_request_that_is_in_time_is_served_however_often_and_however_late_the_response():
    connection = Connection()
    for number in range(1, 4):
        connection.clock.advance(http_protocol.REQUEST_SECONDS - 1)  # idle, between two requests
        connection.send(POST % 50)
        connection.send(b"a" * 50, every=1)
        assert connection.paths == ["/slow"] * number
        connection.clock.advance(10 * http_protocol.REQUEST_SECONDS)  # until the response
        connection.respond()
    assert not connection.is_closed
    connection.clock.advance(http_protocol.REQUEST_SECONDS)
    assert connection.is_closed


def test_a_large_body_has_a_minute_for_each_part_of_it():
    connection = Connection()
    connection.send(POST % (4 * http_protocol.PROGRESS))
    for _ in range(4):
        connection.clock.advance(http_protocol.REQUEST_SECONDS - 1)
        connection.send(b"a" * http_protocol.PROGRESS)
    assert connection.paths == ["/slow"]
    connection.respond()


FILES = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "content_type", "length", "is_accepted"),
    [
        (b"/attachments/", b"multipart/form-data; boundary=x", 9_000, True),
        (b"/attachments/", b"multipart/form-data; boundary=x", 11_000, False),
        (b"/import/", b"multipart/form-data; boundary=x", 19_000, True),
        (b"/import/", b"multipart/form-data; boundary=x", 21_000, False),
        (b"/messages/7/edit/?a=b", b"multipart/form-data; boundary=x", 9_000, True),
        (b"/messages/7/edit/", b"Multipart/Form-Data; boundary=x", 9_000, True),
        (b"/attachments/", b"multipart/form-data; boundary=x\r\nUpgrade: WebSocket", 900, False),
        (b"/attachments/", b"multipart/form-data; boundary=x\r\nUpgrade: h2c", 900, True),
        (b"/conversations/", b"application/x-www-form-urlencoded", 9_000, False),
        (b"/accounts/login/", b"multipart/form-data; boundary=x", 9_000, False),
        (b"/accounts/login/", b"multipart/form-data; boundary=x", 900, True),
    ],
)
def test_bodies_are_larger_only_where_files_are_attached(
    path: bytes, content_type: bytes, length: int, is_accepted: bool, settings
):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.UPLOAD_BYTES = 1_000, 10_000
    settings.IMPORT_BYTES = 20_000
    connection = Connection()
    connection.send(FILES % (path, content_type, length))
    connection.send(b"a" * length)
    assert connection.paths == [path.decode().partition("?")[0]] * is_accepted
    assert connection.transport.value().startswith(b"HTTP/1.1 413 ") != is_accepted


UPLOAD = (
    b"POST /import/ HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\nX-Forwarded-For: %s\r\n"
)
Upload = Callable[..., Connection]
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def small_room(settings, monkeypatch: pytest.MonkeyPatch) -> HeldBytes:
    """Room for three of the largest bodies: a thousandth of the real sizes."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.UPLOAD_BYTES, settings.IMPORT_BYTES = 4_000, 50_000, 100_000
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for name, size in (("SMALL_BYTES", 100), ("HELD_BYTES", 300_000), ("ADDRESS_BYTES", 200_000)):
        monkeypatch.setattr(http_protocol, name, size)
    held = HeldBytes()
    monkeypatch.setattr(LimitedRequest, "held", held)
    return held


@pytest.fixture
def upload(small_room: HeldBytes) -> Iterator[Upload]:
    """Begin to send a body of a length or, with None, one in chunks. All connections are lost at the end."""
    connections = []

    def upload(address: str, *, length: int | None = 100_000) -> Connection:
        connections.append(Connection())
        head = UPLOAD % address.encode() + (b"Content-Length: %d\r\n\r\n" % length if length else CHUNKS)
        connections[-1].send(head)
        return connections[-1]

    yield upload
    for connection in connections:
        connection.channel.connectionLost(Failure(ConnectionDone()))
    assert small_room.total == 0


def is_refused(connection: Connection) -> bool:
    return connection.transport.value().startswith(b"HTTP/1.1 503 ")


def test_large_bodies_that_have_begun_can_arrive_and_more_are_refused(upload: Upload, small_room: HeldBytes):
    connections = [upload(f"192.0.2.{number}") for number in range(4)]
    small = upload("192.0.2.9", length=90)
    small.send(b"a" * 90)
    for _ in range(100):
        for connection in connections:
            connection.send(b"a" * 1_000)
    assert [connection.paths for connection in [small, *connections]] == [["/import/"]] * 4 + [[]]
    assert is_refused(connections[3])
    assert b"receiving many files" in connections[3].transport.value()
    assert b"retry-after: 60\r\n" in connections[3].transport.value().lower()
    assert small_room.total == 300_000
    connections[0].respond()
    assert small_room.total == 200_000


def test_large_bodies_of_one_address_leave_room_for_others(upload: Upload):
    own = [upload("192.0.2.1") for _ in range(3)]
    other = upload("192.0.2.2")
    for connection in [*own, other]:
        connection.send(b"a" * 100_000)
    assert [is_refused(connection) for connection in [*own, other]] == [False, False, True, False]
    assert other.paths == ["/import/"]


def test_bodies_of_unknown_length_are_counted_and_dropped_when_there_is_no_room(upload: Upload, small_room: HeldBytes):
    connections = [upload(f"192.0.2.{number}", length=None) for number in range(20)]
    for _ in range(20):
        for connection in connections:
            connection.send(b"3e8\r\n" + b"a" * 1_000 + b"\r\n")
    kept = [connection.channel.requests[0].content.tell() for connection in connections]
    assert sum(kept) == small_room.total == 300_000
    for connection in connections:
        connection.send(b"0\r\n\r\n")
    assert [is_refused(connection) for connection in connections] == [size == 0 for size in kept]


def test_bodies_that_are_too_large_take_no_room(upload: Upload, small_room: HeldBytes):
    connection = upload("192.0.2.1", length=100_001)
    connection.send(b"a" * 50_000)
    assert (small_room.total, connection.channel.requests[0].content.tell()) == (0, 0)
    connection.send(b"a" * 50_001)
    assert connection.transport.value().startswith(b"HTTP/1.1 413 ")


def test_a_large_body_that_is_being_read_is_counted_when_its_client_has_left(upload: Upload, small_room: HeldBytes):
    connection = upload("192.0.2.1")
    connection.send(b"a" * 100_000)
    [request] = connection.requests
    with request.take_body():
        connection.channel.connectionLost(Failure(ConnectionDone()))
        assert small_room.total == 100_000
    request.release()
    assert small_room.total == 0


def test_large_bodies_of_one_ipv6_network_are_of_one_address(upload: Upload):
    connections = [upload(f"2001:db8::{number}") for number in range(3)]
    for connection in connections:
        connection.send(b"a" * 100_000)
    assert [is_refused(connection) for connection in connections] == [False, False, True]


@pytest.mark.parametrize(("every_minute", "arrives"), [(4_000, False), (5_000, True)])
def test_large_bodies_must_arrive_in_twenty_minutes(
    upload: Upload, small_room: HeldBytes, every_minute: int, arrives: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http_protocol, "PROGRESS", 1_000)
    connection = upload("192.0.2.1")
    for _ in range(100_000 // every_minute):
        connection.clock.advance(59)
        if not connection.is_closed:
            connection.send(b"a" * every_minute)
    assert (connection.is_closed, connection.paths == ["/import/"]) == (not arrives, arrives)


def test_the_response_to_a_head_request_has_no_body():
    """The rest would be taken for the next response of the connection."""
    connection = Connection()
    connection.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    [request] = connection.requests
    request.handle_reply({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
    for part, more in ((b"One", True), (b"Two", True), (b"", False)):
        request.handle_reply({"type": "http.response.body", "body": part, "more_body": more})
    assert connection.transport.value().endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("content_type", "is_accepted"),
    [
        (b"text/plain; charset=UTF-8", True),
        (b'text/plain; charset="utf-8"; x=y', True),
        (b"text/plain; charset=utf8", True),
        (b"text/plain; charset=zlib", False),
        (b"text/plain; charset*=utf-8''%00", False),
        (b"text/plain; charset=utf-8x", False),
    ],
)
def test_requests_in_other_character_sets_are_refused(content_type: bytes, is_accepted: bool):
    connection = Connection()
    connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n\r\n" % content_type)
    assert connection.paths == ["/"] * is_accepted
    assert connection.transport.value().startswith(b"HTTP/1.1 415 ") != is_accepted


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
