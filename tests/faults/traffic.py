"""Load for a short test: a model with occasional faults, and visitors who continue after them."""

import asyncio
import random
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiohttp

from tests.endpoint import Exchange
from tests.site import Person

SEED = 20260101
FAULTY = 0.1  # share of all answers
WAIT = 60  # seconds
ENDED = re.compile(r'id="status-(\d+)" data-status="(complete|stopped|length|filtered|failed|interrupted)"')


async def cut(exchange: Exchange) -> None:
    exchange.cut()
    await exchange.gate("never")  # until the server notices the closed connection


async def end_early(_exchange: Exchange) -> None:
    return


async def garbage(exchange: Exchange) -> None:
    await exchange.raw(b"data: {oh no\n\n")


async def error_event(exchange: Exchange) -> None:
    await exchange.event({"error": {"message": "overloaded"}})


async def filtered(exchange: Exchange) -> None:
    await exchange.finish("content_filter")


async def token_limit(exchange: Exchange) -> None:
    await exchange.finish("length")


async def stall(exchange: Exchange) -> None:
    await exchange.gate("never")


# Faults during an answer, and the outcome that each must have.
FAULTS: dict[Callable[[Exchange], Awaitable[None]], str] = {
    cut: "failed",
    end_early: "failed",
    garbage: "failed",
    error_event: "failed",
    filtered: "filtered",
    token_limit: "length",
    stall: "failed",
}


class Plan(NamedTuple):
    """The words of one answer, as (kind, text), and the fault that follows them; None if the answer completes."""

    words: list[tuple[str, str]]
    fault: Callable[[Exchange], Awaitable[None]] | None

    def text(self, kind: str) -> str:
        return "".join(text for of_kind, text in self.words if of_kind == kind)


def plan(prompt: str) -> Plan:
    """Return the plan for a prompt, which is the same in every call."""
    chance = random.Random(zlib.crc32(prompt.encode()) ^ SEED)  # noqa: S311
    words = [("reasoning", f"{prompt}:t{n} ") for n in range(chance.randint(1, 10))]
    words += [("answer", f"{prompt}:a{n} ") for n in range(chance.randint(1, 20))]
    if chance.random() >= FAULTY:
        return Plan(words, None)
    return Plan(words[: chance.randint(0, len(words))], chance.choice(list(FAULTS)))


class Model:
    """Answers at once, according to plan. `faults` counts the faults, `requests` the requests for each prompt."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.over: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)  # of the loop that creates this model
        self._loop = asyncio.get_running_loop()

    async def __call__(self, exchange: Exchange) -> None:
        # Prompts without an answer are sent again together with the next.
        prompt = exchange.body["messages"][-1]["content"].split()[-1]
        self.requests[prompt] += 1
        try:
            await self._answer(exchange, prompt)
        finally:
            self._loop.call_soon_threadsafe(self.over[prompt].set)

    async def _answer(self, exchange: Exchange, prompt: str) -> None:
        words, fault = plan(prompt)
        for kind, text in words:
            await (exchange.reason(text) if kind == "reasoning" else exchange.answer(text))
        if fault is None:
            await exchange.finish()
            return
        self.faults[fault.__name__] += self.requests[prompt] == 1  # a retry is not another fault
        await fault(exchange)


class Visitor:
    """A person's browser. It sends `turns` prompts in each of `conversations` conversations."""

    def __init__(self, person: Person, session: aiohttp.ClientSession, model: Model) -> None:
        cookies = person.http.cookies
        self.headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "X-CSRFToken": cookies["csrftoken"],
            "Origin": person.site.url,
        }
        self.url, self.name = person.site.url, person.name
        self.session, self.model = session, model
        self.conversations: list[str] = []

    async def send(self, conversations: int, turns: int) -> None:
        """Send all prompts of a conversation at once; start the next conversation when the last one is answered."""
        for _ in range(conversations):
            number = len(self.conversations)
            prompts = [f"{self.name}.{number}.{turn}" for turn in range(turns)]
            conversation = await self.begin(prompts[0])
            for prompt in prompts[1:]:
                await self.post(f"{conversation}messages/", prompt)
            await asyncio.wait_for(self.model.over[prompts[-1]].wait(), WAIT)

    async def converse(self, conversations: int, turns: int) -> None:
        """Send each prompt when the page shows the outcome of the previous one."""
        for _ in range(conversations):
            number = len(self.conversations)
            conversation = await self.begin(f"{self.name}.{number}.0")
            page = await (await self.session.get(self.url + conversation, headers=self.headers)).text()
            [socket_url] = re.findall(r'ws-connect="([^"]+)"', page)
            async with self.session.ws_connect(self.url + socket_url, headers=self.headers) as socket:
                seen = set(ENDED.findall(page))
                for turn in range(1, turns + 1):
                    while len(seen) < turn:
                        seen |= set(ENDED.findall(await socket.receive_str(timeout=WAIT)))
                    if turn < turns:
                        await self.post(f"{conversation}messages/", f"{self.name}.{number}.{turn}")

    async def begin(self, prompt: str) -> str:
        self.conversations.append((await self.post("/conversations/", prompt)).headers["Location"])
        return self.conversations[-1]

    async def post(self, path: str, prompt: str) -> aiohttp.ClientResponse:
        response = await self.session.post(
            self.url + path, data={"content": prompt}, headers=self.headers, allow_redirects=False
        )
        assert response.status == 302
        return response
