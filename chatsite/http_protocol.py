"""HTTP connections of Daphne, with limits on the size and duration of requests, and flow control for responses.

Daphne keeps request bodies of any size, waits for slow ones for ever and does not report whether a client reads what it
is sent. Only public names of Daphne and Twisted are used.
"""

import asyncio
import io
import re
from collections import Counter
from functools import partial
from typing import IO, Any, ClassVar

from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings
from twisted.internet.interfaces import IPushProducer
from twisted.web.http import HTTPChannel
from zope.interface import implementer

from chatsite import plain_page
from chatsite.client_address import client_address, network
from chatsite.problems import is_for_api, problem_body

REQUEST_SECONDS = 60  # for the next request of a connection to begin, and for each part of it to arrive
READ_SECONDS = 600  # in which a client must read what is in the buffer for it: people pause downloads
# Bytes of a part, at least: more than all headers can have (Twisted's limit is 16 KB), so they arrive in one.
PROGRESS = 64 * 1024
PARTS = 20  # of a large body, at most: nobody keeps its room for longer than 20 minutes
SMALL_BYTES = 100_000  # Twisted keeps smaller bodies in memory and writes others into files
# Of all large bodies that have arrived or are arriving, and of those from one address: anybody can send them. Django
# copies the files, and compose.yaml has 640 MB for both.
HELD_BYTES = 3 * settings.IMPORT_BYTES
ADDRESS_BYTES = 2 * settings.IMPORT_BYTES
RETRY_SECONDS = 60

# Django would decode queries and forms with whatever a client names.
OTHER_CHARSET = re.compile(rb"charset(?!=\"?utf-?8\"?\s*(?:;|$))", re.IGNORECASE)

TOO_LARGE = (
    "The limit is {} MB. Go back: what you typed is still there. Shorten it, or attach fewer files, and send it again."
)
BUSY = "The site is receiving many files. Wait a minute and go back: what you typed is still there. Then send it again."


@implementer(IPushProducer)
class Flow:
    """Whether a client reads a streamed response: Twisted says when its buffer is full and when it has been sent."""

    def __init__(self) -> None:
        self._goes_on = asyncio.Event()
        self.resumeProducing()

    def pauseProducing(self) -> None:  # noqa: N802
        self._goes_on.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self._goes_on.set()

    def stopProducing(self) -> None:  # noqa: N802
        """Let the sender go on: the connection is lost, and what it sends is dropped."""
        self.resumeProducing()

    async def drained(self) -> None:
        """Wait while the buffer is full. Raises `TimeoutError` after `READ_SECONDS`."""
        if not self._goes_on.is_set():
            async with asyncio.timeout(READ_SECONDS):
                await self._goes_on.wait()


class HeldBytes:
    """Counts the bytes of large bodies, of all clients and of each address."""

    def __init__(self) -> None:
        self.total = 0
        self._by_address: Counter[str] = Counter()

    def add(self, address: str, size: int) -> bool:
        """Return False, and count nothing, if that would be too many."""
        if self.total + size > HELD_BYTES or self._by_address[address] + size > ADDRESS_BYTES:
            return False
        self.total += size
        self._by_address[address] += size
        return True

    def remove(self, address: str, size: int) -> None:
        self.total -= size
        self._by_address[address] -= size
        if not self._by_address[address]:
            del self._by_address[address]


class LimitedRequest(WebRequest):
    """A request that drops its body if it exceeds the limit, and responds with 413 when it has been received.

    It does the same, and responds with 503, if there is no room for it beside the other large bodies: see `HELD_BYTES`.
    Room is taken when the request begins, so that a body which is not refused at once can arrive. A streamed response
    is sent as fast as the client reads it.
    """

    held: ClassVar[HeldBytes] = HeldBytes()

    _received = 0
    held_bytes = 0  # of this body
    _is_dropped = False
    _is_taken = False  # by the application, which releases it: its client can leave long before that
    _flow: Flow | None = None
    _has_begun = False

    def handle_reply(self, message: dict[str, Any]) -> None:
        if self.method == b"HEAD" and message["type"] == "http.response.body":
            # Twisted drops only the first part of the body, and the rest would be taken for the next response.
            message = {**message, "body": b""}
        is_open = not self.finished and self.channel is not None
        if is_open and message.get("more_body") and self._flow is None:
            self._flow = Flow()
            self.registerProducer(self._flow, True)
        elif is_open and message["type"] == "http.response.body" and self._flow and not message.get("more_body"):
            self.unregisterProducer()
            self._flow = None
        super().handle_reply(message)
        self._has_begun = True

    async def drained(self) -> None:
        """Wait while the client does not read; end the connection if it has not for `READ_SECONDS`."""
        try:
            if self._flow:
                await self._flow.drained()
        except TimeoutError:
            if self.channel:
                self.channel.forceAbortClient()

    @property
    def _has_files(self) -> bool:
        [content_type] = self.requestHeaders.getRawHeaders(b"content-type", [b""])[:1]
        return content_type.lower().startswith(b"multipart/form-data")

    @property
    def _is_for_socket(self) -> bool:
        [upgrade] = self.requestHeaders.getRawHeaders(b"upgrade", [b""])[:1]
        return upgrade.lower() == b"websocket"

    @property
    def _most(self) -> int:
        """The bytes that a request with these headers may have. Its path is known when all of it has arrived."""
        if self._is_for_socket:
            return 0  # Daphne would read it into memory
        return int(settings.IMPORT_BYTES if self._has_files else settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    @property
    def _address(self) -> str:
        forwarded = self.requestHeaders.getRawHeaders(b"x-forwarded-for", [b""])
        peer = getattr(self.getClientAddress(), "host", "")
        return network(client_address(peer, b",".join(forwarded).decode("latin-1")))

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        super().gotLength(length)
        if length:
            self._is_dropped = length > self._most or not self._hold(length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self._received += len(data)
        if self._is_dropped:
            return
        # The length of a body in chunks was not known before.
        if self._received <= self._most and self._hold(self._received):
            super().handleContentChunk(data)
            return
        self._is_dropped = True
        self.release()
        self.content.seek(0)
        self.content.truncate()

    def _hold(self, size: int) -> bool:
        """Have `size` bytes counted for this body until its request has ended; return False if that is too many."""
        if size <= max(SMALL_BYTES, self.held_bytes):
            return True
        if not self.held.add(self._address, size - self.held_bytes):
            return False
        if not self.held_bytes:
            self.notifyFinish().addBoth(self._finished)
        self.held_bytes = size
        return True

    def _finished(self, _: object) -> None:
        if not self._is_taken:
            self.release()

    def release(self) -> None:
        """Count nothing for this body any more: it has been dropped, or nothing reads it any more."""
        self.held.remove(self._address, self.held_bytes)
        self.held_bytes = 0

    @property
    def _limit(self) -> int:
        """The bytes that a request to this path may have."""
        path = self.path.decode("latin-1")
        if not self._has_files or path == settings.IMPORT_PATH:
            return self._most
        takes_files = settings.UPLOAD_PATHS.fullmatch(path)
        return min(self._most, settings.UPLOAD_BYTES if takes_files else settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    def process(self) -> Any:
        limit = self._limit
        content_types = self.requestHeaders.getRawHeaders(b"content-type", [])
        is_utf8 = not any(map(OTHER_CHARSET.search, content_types))
        if is_utf8 and self._received <= limit and not self._is_dropped:
            return super().process()
        self.client_addr = None
        if not is_utf8:
            self._reply(415, "This request is not in UTF-8", "The site reads nothing else. Send it again in UTF-8.")
        elif self._received > limit:
            self._reply(413, "This request is too large", TOO_LARGE.format(limit // 2**20))
        else:
            self._reply(503, "The site is busy", BUSY)
        return None

    def take_body(self) -> IO[bytes]:
        """Return the file into which Twisted has written the body. Daphne, which would read all of it, finds none."""
        body: IO[bytes] = self.content
        self.content: IO[bytes] = io.BytesIO()
        self._is_taken = True
        return body

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """Respond to what never reaches Django, in place of Daphne's page, which needs inline styles.

        Daphne also calls this for an error in the middle of a response, which the client must not take for complete.
        """
        if self._has_begun:
            if not self.finished and self.channel:
                self.channel.forceAbortClient()
            return
        self._reply(status, status_text.decode(), body)

    def _reply(self, status: int, title: str, text: str) -> None:
        headers, body = plain_page.HEADERS, plain_page.plain_page(title, text)
        if is_for_api(self.path.decode("latin-1")):
            headers, body = plain_page.PROBLEM_HEADERS, problem_body(status, f"{title}.")
        if status == 503:
            headers = [*headers, (b"retry-after", str(RETRY_SECONDS).encode())]
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": body})


class LimitedChannel(HTTPChannel):
    """A connection whose requests are `LimitedRequest`, closed if one arrives too slowly: see `REQUEST_SECONDS`.

    Twisted starts the time again for every byte, so a byte a minute would keep a connection open for ever.
    """

    _awaited = 0  # bytes that must arrive before the time starts again; 0 between requests

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._awaited -= len(data)
        if self._awaited <= 0:
            self._awaited = max([PROGRESS, *(request.held_bytes // PARTS for request in self.requests)])
            super().resetTimeout()
        super().dataReceived(data)

    def resetTimeout(self) -> None:  # noqa: N802
        """Do nothing: Twisted calls this for all data."""

    def allContentReceived(self) -> None:  # noqa: N802
        self._awaited = 0
        super().allContentReceived()


class LimitedHTTPFactory(HTTPFactory):
    """Builds HTTP connections that are `LimitedChannel`."""

    protocol = LimitedChannel  # Twisted's own first finds out whether the client speaks HTTP/2, which TLS would tell it

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        protocol = super().buildProtocol(addr)
        # Twisted would read forms and files itself, in memory and on the event loop.
        protocol.requestFactory = partial(LimitedRequest, parsePOSTFormSubmission=False)
        protocol.timeOut = REQUEST_SECONDS
        return protocol
