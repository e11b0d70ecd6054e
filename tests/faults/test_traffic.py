"""An hour's traffic in miniature: 2,000 prompts by 100 people, one in ten met by a fault."""

import asyncio
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp

from tests.endpoint import Endpoint, Exchange
from tests.faults.baseline import PROBE, Baseline, memory
from tests.faults.stored import texts
from tests.site import Person, Site, people

PEOPLE, CONVERSATIONS, TURNS = 100, 4, 5
AT_ONCE = 20  # prompts on their way
MOST_GROWTH = 20 * 2**20  # bytes between the first 200 answers and the last
WAIT = 60  # seconds
LONGEST_SECONDS = 300
ENDED = re.compile(r'id="status-(\d+)" data-status="(complete|stopped|length|filtered|failed|interrupted)"')


async def cut(exchange: Exchange) -> None:
    exchange.cut()


async def end_early(_exchange: Exchange) -> None:
    return


async def garbage(exchange: Exchange) -> None:
    await exchange.raw(b"data: {oh no\n\n")


async def error_event(exchange: Exchange) -> None:
    await exchange.event({"error": {"message": "overloaded"}})


async def filtered(exchange: Exchange) -> None:
    await exchange.finish("content_filter")


async def out_of_room(exchange: Exchange) -> None:
    await exchange.finish("length")


async def stall(exchange: Exchange) -> None:
    await exchange.gate("never")


# What a model does after a part of its answer, and the outcome that must follow.
FAULTS: list[tuple[Callable[[Exchange], Awaitable[None]], str]] = [
    (cut, "failed"),
    (end_early, "failed"),
    (garbage, "failed"),
    (error_event, "failed"),
    (filtered, "filtered"),
    (out_of_room, "length"),
    (stall, "failed"),
]


class Model:
    """Answers at once; the seed and the prompt decide what, and which fault it meets."""

    def __init__(self) -> None:
        self.seed = 20260101
        self.requests: Counter[str] = Counter()

    def plan(
        self, prompt: str
    ) -> tuple[list[str], list[str], tuple[Callable[[Exchange], Awaitable[None]], str] | None]:
        """Return the pieces of reasoning and answer, and the fault after them; None for a good end."""
        chance = random.Random(zlib.crc32(prompt.encode()) ^ self.seed)  # noqa: S311
        thoughts = [f"{prompt}:t{n} " for n in range(chance.randint(1, 10))]
        words = [f"{prompt}:a{n} " for n in range(chance.randint(1, 20))]
        return thoughts, words, chance.choice(FAULTS) if chance.random() < 0.1 else None

    async def __call__(self, exchange: Exchange) -> None:
        prompt = exchange.body["messages"][-1]["content"]
        self.requests[prompt] += 1
        thoughts, words, fault = self.plan(prompt)
        for thought in thoughts:
            await exchange.reason(thought)
        for word in words:
            await exchange.answer(word)
        await (fault[0](exchange) if fault else exchange.finish())


class Visitor:
    """A person's browser: posts prompts and watches the socket until each is answered."""

    def __init__(self, person: Person, session: aiohttp.ClientSession, counter: asyncio.Semaphore) -> None:
        cookies = person.http.cookies
        self.headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "X-CSRFToken": cookies["csrftoken"],
            "Origin": person.site.url,
        }
        self.url, self.name = person.site.url, person.name
        self.session, self.counter = session, counter
        self.conversations: list[str] = []

    async def send(self) -> None:
        """Send prompts without waiting for answers, several to a conversation."""
        for number in range(CONVERSATIONS):
            conversation = await self.begin(f"{self.name}.{number}.0")
            for turn in range(1, TURNS):
                await self.post(f"{conversation}messages/", f"{self.name}.{number}.{turn}")

    async def converse(self) -> None:
        """Send each prompt when the one before it is seen to be answered."""
        for number in range(CONVERSATIONS):
            conversation = await self.begin(f"{self.name}.{number}.0")
            page = await (await self.session.get(self.url + conversation, headers=self.headers)).text()
            [socket_url] = re.findall(r'ws-connect="([^"]+)"', page)
            async with self.session.ws_connect(self.url + socket_url, headers=self.headers) as socket:
                seen = set(ENDED.findall(page))
                for turn in range(1, TURNS + 1):
                    while len(seen) < turn:
                        seen |= set(ENDED.findall(await socket.receive_str(timeout=WAIT)))
                    if turn < TURNS:
                        await self.post(f"{conversation}messages/", f"{self.name}.{number}.{turn}")

    async def begin(self, prompt: str) -> str:
        self.conversations.append((await self.post("/conversations/", prompt)).headers["Location"])
        return self.conversations[-1]

    async def post(self, path: str, prompt: str) -> aiohttp.ClientResponse:
        async with self.counter:
            response = await self.session.post(
                self.url + path, data={"content": prompt}, headers=self.headers, allow_redirects=False
            )
        assert response.status == 302
        return response


async def test_two_thousand_prompts_each_end_in_one_outcome_and_leave_nothing_behind(make_site, endpoint: Endpoint):
    endpoint.respond = model = Model()
    site = make_site(STALL_SECONDS=2, PYTHONPATH=PROBE)
    crowd = people(site, PEOPLE)
    baseline = Baseline(endpoint, site)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        counter = asyncio.Semaphore(AT_ONCE)
        visitors = [Visitor(person, session, counter) for person in crowd]
        async with asyncio.TaskGroup() as group:
            for number, visitor in enumerate(visitors):
                group.create_task(visitor.converse() if number % 10 == 0 else visitor.send())  # one in ten watches
            await asyncio.to_thread(await_answered, site, 200)
            after_200 = memory(site)
        await asyncio.to_thread(await_answered, site, 2000)
    growth = memory(site) - after_200
    print(f"memory grew by {growth / 2**20:.1f} MB between 200 answers and 2,000")

    found = texts(site)
    assert site.rows("select count(*) from conversations_generation") == [(len(found),)] == [(2000,)]
    faults: Counter[str] = Counter()
    for prompt, text in found.items():
        thoughts, words, fault = model.plan(prompt)
        said = "".join(thoughts), "".join(words)
        if fault:
            # A connection that is cut takes along what was on its way.
            assert text.status == fault[1]
            assert said[0].startswith(text.reasoning)
            assert said[1].startswith(text.answer)
        else:
            assert text == ("complete", *said)
            assert model.requests[prompt] == 1
        faults[fault[0].__name__ if fault else ""] += 1
    assert len(faults) == len(FAULTS) + 1  # each kind has happened
    assert growth <= MOST_GROWTH
    baseline.check(*((crowd[0], conversation) for conversation in visitors[0].conversations))
    for person in crowd:
        person.close()


def await_answered(site: Site, number: int) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    answered = "select count(*) from conversations_generation where finished_at is not null"
    while site.rows(answered)[0][0] < number:
        assert time.monotonic() < deadline, f"{site.rows(answered)} of {number} were answered"
        time.sleep(0.1)  # it counts two thousand rows
