"""Who reads: clients that use the public URLs and sockets as a browser does, and note when each word is there."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from html import unescape

import aiohttp

from benchmarks.texts import Play

_TOKEN = re.compile(r'"X-CSRFToken": "(\w+)"')
_SOCKET = re.compile(r'ws-connect="([^"]+)"')
_REASONING = re.compile(r'<div[^>]* id="reasoning-[0-9]+"([^>]*)>(.*?)</div>', re.DOTALL)
_ENDED = re.compile(r'data-status="(complete|stopped|length|filtered|failed|interrupted)"')


@dataclass(slots=True)
class Reading:
    """What one reader saw of one play; times are the event loop's."""

    name: str
    play: Play
    posted: float = 0.0
    seen: list[float] = field(default_factory=list)  # when each delta's word was first there
    ended: float = 0.0
    received: int = 0  # bytes of the socket's messages
    reasoning: str = ""
    status: str = ""
    error: str = ""

    @property
    def first_delta_seconds(self) -> float:
        """Return the time from the prompt to the first word, without the time that the endpoint took."""
        return (self.seen[0] - self.posted) - (self.play.sent[0] - self.play.requested[-1])

    def notice(self, text: str, now: float) -> None:
        """Note which words are there by now."""
        last = self.play.script.number_in(text)
        self.seen += [now] * (last + 1 - len(self.seen))

    def take(self, html: str, now: float) -> None:
        """Do with a page or a frame what a browser would: add its reasoning, see how the answer stands."""
        self.notice(html, now)
        for attributes, inside in _REASONING.findall(html):
            self.reasoning = (self.reasoning if "beforeend" in attributes else "") + unescape(inside)
        if found := _ENDED.search(html):
            self.ended, self.status = now, found[1]


class Reader:
    """A person at the site: `open` a conversation's page, then `ask` in it; or `begin` a new one."""

    def __init__(self, site_url: str, session: str, conversation: str) -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # else it takes none from an address without a name
        jar.update_cookies({"sessionid": session})
        self._http = aiohttp.ClientSession(site_url, cookie_jar=jar, connector=aiohttp.TCPConnector(limit=0))
        self._conversation = conversation
        self._token = ""
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self) -> None:
        await self._load(self._conversation)

    async def open_new(self) -> None:
        self._token = _find(_TOKEN, await self._page("/"))

    async def ask(self, reading: Reading) -> None:
        """Send the prompt in the open conversation; return when the answer has ended."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(reading))
            reading.posted = asyncio.get_running_loop().time()
            await self._post(f"{self._conversation}messages/", reading)

    async def begin(self, reading: Reading) -> None:
        """Send the prompt as the first of a conversation, follow to its page, open its socket and read."""
        reading.posted = asyncio.get_running_loop().time()
        where = await self._post("/conversations/", reading)
        reading.take(await self._load(where["HX-Redirect"]), asyncio.get_running_loop().time())
        await self._read(reading)

    async def close(self) -> None:
        if self._socket:
            await self._socket.close()
        await self._http.close()

    async def _post(self, path: str, reading: Reading) -> Mapping[str, str]:
        fields = {"content": reading.name, "key": str(uuid.uuid4())}
        headers = {"X-CSRFToken": self._token, "HX-Request": "true"}
        async with self._http.post(path, data=fields, headers=headers, raise_for_status=True) as response:
            await response.read()
            return response.headers

    async def _page(self, path: str) -> str:
        async with self._http.get(path, allow_redirects=False, raise_for_status=True) as response:
            return await response.text()

    async def _load(self, path: str) -> str:
        """Get a conversation's page and open its socket."""
        page = await self._page(path)
        self._token = _find(_TOKEN, page)
        self._socket = await self._http.ws_connect(_find(_SOCKET, page), max_msg_size=0)
        return page

    async def _read(self, reading: Reading) -> None:
        while not reading.ended:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                reading.error = f"the socket closed with {self._socket.close_code}"
                return
            reading.received += len(message.data.encode())
            reading.take(message.data, asyncio.get_running_loop().time())


class RelayReader:
    """The same at the baseline relay, whose frames are bare text."""

    def __init__(self, relay_url: str) -> None:
        self._http = aiohttp.ClientSession(relay_url)
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self) -> None:
        self._socket = await self._http.ws_connect("/", max_msg_size=0)

    async def ask(self, reading: Reading) -> None:
        clock = asyncio.get_running_loop().time
        reading.posted = clock()
        await self._socket.send_str(reading.name)
        texts = []
        async for message in self._socket:
            now = clock()
            if message.data == "end":
                reading.ended, reading.status, reading.reasoning = now, "complete", "".join(texts)
                return
            reading.received += len(message.data.encode())
            reading.notice(message.data, now)
            texts.append(message.data)
        reading.error = f"the socket closed with {self._socket.close_code}"

    async def close(self) -> None:
        if self._socket:
            await self._socket.close()
        await self._http.close()


async def all_at_their_time(
    readings: list[Reading], act: Callable[[int, Reading], Awaitable[None]], *, spread: float, limit: float
) -> None:
    """Start `act(number, reading)` for each reading, evenly over `spread` seconds; await them all, `limit` at most.

    What goes wrong with one is its reading's error and nobody else's.
    """

    async def one(number: int, reading: Reading) -> None:
        await asyncio.sleep(spread * number / len(readings))
        try:
            async with asyncio.timeout(limit):
                await act(number, reading)
        except* (aiohttp.ClientError, OSError) as group:  # TimeoutError is one
            [error, *_] = group.exceptions
            reading.error = repr(error)

    async with asyncio.TaskGroup() as tasks:
        for number, reading in enumerate(readings):
            tasks.create_task(one(number, reading))


def _find(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    if not found:
        raise LookupError(f"a page of the site has nothing like {pattern.pattern}")
    return unescape(found[1])
