"""One user at every limit: pages, sockets and questions in a loop."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie

import aiohttp

from tests.site import Person

AT_ONCE = 56  # requests: more than may be served and may wait
SOCKETS = 22  # more than may be open
PAUSE_SECONDS = 0.5  # after a refusal or the end of a socket


class Abuser:
    """A person whose client holds back nothing. `statuses` counts the responses by what was requested."""

    def __init__(self, person: Person, conversation: str) -> None:
        self.statuses: dict[str, Counter[int]] = {"page": Counter(), "question": Counter(), "socket": Counter()}
        self._conversation = conversation
        self._url = person.site.url
        cookies = SimpleCookie(dict(person.http.cookies))
        self._headers = {
            "Cookie": "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items()),
            "X-CSRFToken": person.http.cookies["csrftoken"],
            "Origin": self._url,
        }
        self.refused = asyncio.Event()  # a page was refused, and a socket replaced by a newer one

    async def __aenter__(self) -> "Abuser":
        connector = aiohttp.TCPConnector(limit=0)
        self._http = aiohttp.ClientSession(self._url, connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        loops = [*[self._load_pages] * (AT_ONCE - 4), *[self._ask] * 4, *[self._watch] * (SOCKETS)]
        self._tasks = [asyncio.create_task(self._repeat(each)) for each in loops]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    async def _repeat(self, once: Callable[[], Awaitable[None]]) -> None:
        while True:
            await once()

    async def _load_pages(self) -> None:
        async with self._http.get(self._conversation, headers=self._headers) as response:
            await response.read()
            self._count("page", response.status)
        await self._pause(response.status)

    async def _ask(self) -> None:
        url, text = f"{self._conversation}messages/", {"content": "Again! " * 1_000}
        async with self._http.post(url, data=text, headers=self._headers, allow_redirects=False) as response:
            self._count("question", response.status)
        await self._pause(response.status)

    async def _watch(self) -> None:
        async with self._http.ws_connect(f"/ws{self._conversation}", headers=self._headers) as socket:
            async for _ in socket:
                pass
            self._count("socket", socket.close_code or 0)
        await asyncio.sleep(PAUSE_SECONDS)

    def _count(self, kind: str, status: int) -> None:
        self.statuses[kind][status] += 1
        if self.statuses["page"][429] and self.statuses["socket"][4429]:
            self.refused.set()

    async def _pause(self, status: int) -> None:
        """Wait after a refusal, so that this client itself does not take the processor."""
        await asyncio.sleep(PAUSE_SECONDS if status == 429 else 0)
