"""Viewers with bad connections: some that never read, and tabs that reconnect many times, on two replicas."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.endpoint import Endpoint, Exchange
from tests.faults.baseline import Baseline, memory
from tests.faults.conftest import Replicas
from tests.faults.silent_client import SilentClient, unread
from tests.screen import Tab
from tests.site import Person, Site

FEW, MANY = 1, 19  # viewers that never read: beside the reader, as many as one person may have
MOST_BYTES = 384 * 1024  # of memory per viewer that never reads: less than the text, which has 500,000 characters
PARAGRAPH = "word " * 100 + "\n\n"
PARAGRAPHS = 1_000
CLAUSES = (*["A thought <&> that goes on for nine words more. "] * 6, "Wait, that is wrong. ", "\n\n")
BLOCKS = (
    "## A heading\n\n",
    "A paragraph with **bold** words, `code` and a [link](https://example.org).\n\n",
    "- one\n- two\n  - inner\n- three\n\n",
    "1. first\n2. second\n\n",
    "```python\ndef f(x):\n    return x < 1\n```\n\n",
    "| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n\n",
    "> quoted\n> twice\n\n",
)


def test_a_viewer_that_never_reads_uses_little_memory_and_delays_nobody(make_site, join, endpoint: Endpoint):
    async def long_answer(exchange: Exchange) -> None:
        prompt = exchange.body["messages"][-1]["content"]
        await exchange.reason("Hm. ")
        await exchange.gate(f"{prompt} is watched")
        for _ in range(PARAGRAPHS // 2):
            await exchange.reason(PARAGRAPH)
        for _ in range(PARAGRAPHS // 2):
            await exchange.answer(PARAGRAPH)
        await exchange.answer("The very last words.")
        await exchange.gate(f"{prompt} is read")
        await exchange.finish()

    endpoint.respond = long_answer
    site: Site = make_site()
    person = join(site)
    baseline = Baseline(endpoint, site)

    def read_beside(prompt: str, silent: int) -> tuple[int, float, str]:
        """Read an answer while `silent` viewers do not; return the memory (bytes), seconds and conversation."""
        conversation = person.ask(prompt)
        endpoint.await_reached(f"{prompt} is watched")
        with ExitStack() as stack:
            before = memory(site)
            clients = [stack.enter_context(SilentClient(person, conversation)) for _ in range(silent)]
            reader = stack.enter_context(person.socket(conversation))
            started = time.monotonic()
            endpoint.open(f"{prompt} is watched")
            while "The very last words." not in reader.recv(timeout=60):
                pass
            seconds = time.monotonic() - started
            unsent = unread({client.port for client in clients})
            grown = memory(site) - before + unsent
            print(f"{silent} silent viewers: {unsent / 1024:.0f} KiB in the kernel, {grown / 1024:.0f} KiB in all")
            endpoint.open(f"{prompt} is read")
            while 'data-status="complete"' not in reader.recv(timeout=60):
                pass
        return grown, seconds, conversation

    conversations = [read_beside("first", FEW)[2]]  # warm-up: what is allocated once
    with_few, seconds_few, conversation = read_beside("second", FEW)
    conversations.append(conversation)
    with_many, seconds_many, conversation = read_beside("third", MANY)
    conversations.append(conversation)
    each = (with_many - with_few) / (MANY - FEW)
    print(f"{each / 1024:.0f} KiB a viewer; the reader took {seconds_few:.1f} s, then {seconds_many:.1f} s")
    assert each <= MOST_BYTES
    baseline.check(*((person, conversation) for conversation in conversations))


class RandomMarkdown:
    """Sends a thought of many steps while `thinking`, then Markdown while `talking`, in deltas of random lengths."""

    def __init__(self) -> None:
        self.thinking, self.talking = True, True
        self._chance = random.Random(1)  # noqa: S311

    async def __call__(self, exchange: Exchange) -> None:
        while self.thinking:
            await self._send(exchange.reason, self._chance.choice(CLAUSES))
        while self.talking:
            await self._send(exchange.answer, self._chance.choice(BLOCKS))
        await exchange.finish()

    async def _send(self, send: Callable[[str], Awaitable[None]], text: str) -> None:
        while text:
            cut = self._chance.randint(1, 12)
            await send(text[:cut])
            text = text[cut:]
            await asyncio.sleep(0.01)


def reconnect_often(tab: Tab, seed: int, times: int) -> None:
    """Read a few frames, lose the connection and reconnect, `times` times."""
    chance = random.Random(seed)  # noqa: S311
    for _ in range(times):
        for _ in range(chance.randrange(6)):
            tab.apply(tab.socket.recv(timeout=60))
        tab.reconnect()


@pytest.mark.postgresql
@pytest.mark.redis
def test_tabs_that_reconnect_many_times_on_two_replicas_show_the_same_as_a_fresh_page(
    replicas: Replicas, replicas_baseline: Baseline, person: Person
):
    replicas.endpoint.respond = model = RandomMarkdown()
    conversation = person.ask("Write.")
    there = person.at(replicas.second)
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        tabs = [stack.enter_context(Tab(somebody, conversation)) for somebody in (person, there, person, there)]

        def reconnect_all(seed: int) -> None:
            list(pool.map(reconnect_often, tabs, range(seed, seed + 4), [8] * 4))

        reconnect_all(1)
        assert {tab.statuses[0] for tab in tabs} <= {"queued", "thinking"}
        model.thinking = False
        reconnect_all(5)
        model.talking = False
        for tab in tabs:
            tab.read_until(lambda tab: tab.statuses == ["complete"])
            tab.check()
        assert len(tabs[0].answer) > 100
        assert re.search(r"\d+ steps", tabs[0].text(tabs[0].newest.attributes["id"].replace("message", "phase")))
    assert len(replicas.endpoint.exchanges) == 1
    for somebody in (person, there):
        somebody.close()
    replicas_baseline.check()
