"""Clients that use the public URLs and sockets like a browser and record when each word arrives."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from html import unescape

import aiohttp

from benchmarks.texts import Playback

_TOKEN = re.compile(r'"X-CSRFToken": "(\w+)"')
_SOCKET = re.compile(r'ws-connect="([^"]+)"')
_REASONING = re.compile(r'<div[^>]* id="reasoning-[0-9]+"([^>]*)>(.*?)</div>', re.DOTALL)
_ENDED = re.compile(r'data-status="(complete|stopped|length|filtered|failed|interrupted)"')


@dataclass(slots=True)
class Reading:
    """What one reader received of one playback. Times are the event loop's, in seconds."""

    name: str
    playback: Playback
    posted: float = 0.0
    seen: list[float] = field(default_factory=list)  # when each delta's word first arrived
    ended: float = 0.0
    received: int = 0  # bytes of the socket's messages
    reasoning: str = ""
    is_read: bool = True  # False if the page was loaded after the end: it has a link instead of the reasoning
    status: str = ""
    error: str = ""

    @property
    def first_delta_seconds(self) -> float:
        """Return the seconds from the prompt to the first word, without the time that the endpoint took."""
        return (self.seen[0] - self.posted) - (self.playback.sent[0] - self.playback.requested[-1])

    def record(self, text: str, now: float) -> None:
        """Record the words in `text`, and all before them, as received."""
        last = self.playback.script.number_in(text)
        self.seen += [now] * (last + 1 - len(self.seen))

    def apply(self, html: str, now: float) -> None:
        """Apply a page or a frame like a browser: add its reasoning, read the answer's status."""
        self.record(html, now)
        for attributes, inside in _REASONING.findall(html):
            self.reasoning = (self.reasoning if "beforeend" in attributes else "") + unescape(inside)
            self.is_read = "<a " not in inside
        if found := _ENDED.search(html):
            self.ended, self.status = now, found[1]


class Reader:
    """A person at the site: `open` a conversation's page, then `ask` in it; or `open_new`, then `ask_new`."""

    def __init__(self, site_url: str, session: str, conversation: str, asks_at: str = "") -> None:
        """Use the pages of one replica and, if it is given, send questions to another one's URL."""
        self._asks_at = asks_at
        jar = aiohttp.CookieJar(unsafe=True)  # accepts cookies from an IP address
        jar.update_cookies({"sessionid": session})
        self._http = aiohttp.ClientSession(site_url, cookie_jar=jar, connector=aiohttp.TCPConnector(limit=0))
        self._conversation = conversation
        self._token = ""
        self._resources = AsyncExitStack()
        self._resources.push_async_callback(self._http.close)

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

    async def ask_new(self, reading: Reading) -> None:
        """Send the prompt as the first of a new conversation, open its page; return when the answer has ended."""
        reading.posted = asyncio.get_running_loop().time()
        headers = await self._post("/conversations/", reading)
        reading.apply(await self._load(headers["HX-Redirect"]), asyncio.get_running_loop().time())
        await self._read(reading)

    async def close(self) -> None:
        await self._resources.aclose()

    async def _post(self, path: str, reading: Reading) -> Mapping[str, str]:
        fields = {"content": reading.name, "key": str(uuid.uuid4())}
        headers = {"X-CSRFToken": self._token, "HX-Request": "true"}
        url = self._asks_at + path
        async with self._http.post(url, data=fields, headers=headers, raise_for_status=True) as response:
            await response.read()
            return response.headers

    async def _page(self, path: str) -> str:
        async with self._http.get(path, allow_redirects=False, raise_for_status=True) as response:
            return await response.text()

    async def _load(self, path: str) -> str:
        """Get a conversation's page and open its socket."""
        page = await self._page(path)
        self._token = _find(_TOKEN, page)
        connecting = self._http.ws_connect(_find(_SOCKET, page), max_msg_size=0)
        self._socket = await self._resources.enter_async_context(connecting)
        return page

    async def _read(self, reading: Reading) -> None:
        while not reading.ended:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                reading.error = f"the socket closed with {self._socket.close_code}"
                return
            reading.received += len(message.data.encode())
            reading.apply(message.data, asyncio.get_running_loop().time())


class RelayReader:
    """A person at the baseline relay, whose frames are plain text."""

    def __init__(self, relay_url: str) -> None:
        self._http = aiohttp.ClientSession(relay_url)
        self._resources = AsyncExitStack()
        self._resources.push_async_callback(self._http.close)

    async def open(self) -> None:
        self._socket = await self._resources.enter_async_context(self._http.ws_connect("/", max_msg_size=0))

    async def ask(self, reading: Reading) -> None:
        clock = asyncio.get_running_loop().time
        reading.posted = clock()
        await self._socket.send_str(reading.name)
        texts: list[str] = []
        async for message in self._socket:
            now = clock()
            if message.data == "end":
                reading.ended, reading.status, reading.reasoning = now, "complete", "".join(texts)
                return
            reading.received += len(message.data.encode())
            reading.record(message.data, now)
            texts.append(message.data)
        reading.error = f"the socket closed with {self._socket.close_code}"

    async def close(self) -> None:
        await self._resources.aclose()


async def run_spread(
    readings: list[Reading], ask: Callable[[int, Reading], Awaitable[None]], *, spread: float, limit: float
) -> None:
    """Start `ask(number, reading)` for each reading, evenly over `spread` seconds, and wait for all of them.

    Each may take `limit` seconds. An error is recorded in its reading and does not affect the others.
    """

    async def one(number: int, reading: Reading) -> None:
        await asyncio.sleep(spread * number / len(readings))
        try:
            async with asyncio.timeout(limit):
                await ask(number, reading)
        except* (aiohttp.ClientError, OSError) as group:  # TimeoutError is one
            [error, *_] = group.exceptions
            reading.error = repr(error)

    async with asyncio.TaskGroup() as tasks:
        for number, reading in enumerate(readings):
            tasks.create_task(one(number, reading))


def _find(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    if not found:
        raise LookupError(f"a page of the site does not contain {pattern.pattern}")
    return unescape(found[1])
