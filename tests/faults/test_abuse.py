"""One user at every limit, hostile responses, a killed replica and garbage on Redis: another user notices little."""

import asyncio
import os
import random
import time
from collections.abc import Callable

import pytest
import redis

from conversations.limits import QUEUED_PROMPTS
from tests.endpoint import Exchange
from tests.faults.abuser import Abuser
from tests.faults.baseline import Baseline
from tests.faults.conftest import Replicas
from tests.faults.traffic import cut, end_early, error_event, garbage
from tests.screen import Tab
from tests.site import Person

PAGES = 5  # of each part
COSTLY = "```\nx\n```\n" * 2_000
FAULTS = (garbage, cut, error_event, end_early)


class Model:
    """Answers "why?" in words, and all else with faults; "Hang" until it may end, and "Much" with costly text."""

    async def __call__(self, exchange: Exchange) -> None:
        prompt = exchange.body["messages"][-1]["content"]
        if prompt.lower().endswith("why?"):
            await exchange.reason("Let me think. ")
            await exchange.answer("Because ")
            await exchange.answer("it is so.")
            await exchange.finish()
        elif prompt.endswith("Much"):
            await exchange.answer(COSTLY)
            await exchange.finish()
        else:
            await exchange.reason("Hm. ")
            if prompt.endswith("Hang"):
                await exchange.gate("the end")
            await random.choice(FAULTS)(exchange)  # noqa: S311


def timed(person: Person, conversation: str) -> list[float]:
    """Load a page so many times; return the seconds that each took, in order of length."""
    took = []
    for _ in range(PAGES):
        started = time.monotonic()
        page = person.http.get(conversation)
        took.append(time.monotonic() - started)
        assert page.status_code == 200
        assert "Because it is so." in page.text
    return sorted(took)


def disturb(replicas: Replicas) -> None:
    """Publish what is no message on each channel that a replica listens to."""
    with redis.Redis.from_url(replicas.redis.url) as client:
        channels = client.pubsub_channels()
        assert channels
        for channel in channels:
            for message in (b"", os.urandom(1_000), b"\x81\xa4type\xa4evil", b"[" * 10_000):
                client.publish(channel, message)


@pytest.mark.postgresql
@pytest.mark.redis
async def test_another_user_asks_streams_and_reads_beside_one_at_every_limit(
    replicas: Replicas, replicas_baseline: Baseline, join: Callable[..., Person], person: Person
):
    replicas.endpoint.respond = Model()
    abusive = join(replicas.first)
    costly = await asyncio.to_thread(abusive.ask, "Much")
    await asyncio.to_thread(abusive.await_end, costly)
    await asyncio.to_thread(abusive.ask, "Hang", costly)
    await asyncio.to_thread(replicas.endpoint.await_reached, "the end")
    for number in range(QUEUED_PROMPTS):
        await asyncio.to_thread(abusive.ask, f"Question {number}", costly)
    refused = await asyncio.to_thread(abusive.post, f"{costly}messages/", htmx=True, content="One more")
    assert refused.status_code == 422
    assert "You already have 10 questions waiting" in refused.text

    def ask(question: str) -> str:
        """Ask as the other user, and watch the answer to its end."""
        conversation = person.ask(question)
        with Tab(person, conversation) as tab:
            tab.read_until(lambda tab: tab.statuses == ["complete"])
            assert tab.answer == "Because it is so."
        return conversation

    conversation = await asyncio.to_thread(ask, "Why?")
    idle = await asyncio.to_thread(timed, person, conversation)
    async with Abuser(abusive, costly) as abuser:
        beside = await asyncio.to_thread(timed, person, conversation)
        await asyncio.to_thread(ask, "And why?")
        printed = len(replicas.first.lines)
        disturb(replicas)
        await asyncio.to_thread(replicas.first.await_line, "skipped a malformed message from Redis", printed)
        replicas.second.kill()
        await asyncio.to_thread(ask, "Then why?")
        beside += await asyncio.to_thread(timed, person, conversation)
        await abuser.refused.wait()
    ratio = sorted(beside)[-len(beside) // 20] / idle[-PAGES // 20]
    print(f"the page of another user took {ratio:.1f} times as long (p95); the abuser got {abuser.statuses}")
    assert set(abuser.statuses["page"]) == {200, 429}
    assert set(abuser.statuses["question"]) <= {302, 422, 429}
    assert set(abuser.statuses["socket"]) >= {4429}
    [(queued,)] = replicas.first.rows(
        "select count(*) from conversations_generation where status = 'queued' and conversation_id = ?",
        replicas.first.uuid(costly.split("/")[2]),
    )
    assert queued <= QUEUED_PROMPTS

    replicas.endpoint.open("the end")
    replicas.second.start()
    outcomes = await asyncio.to_thread(abusive.await_end, costly)
    assert {status for status, *_ in outcomes} <= {"complete", "failed", "interrupted"}
    assert person.answers(conversation) == [("complete", "", "Let me think. ", "Because it is so.")]
    abusive.close()
    # The killed one is declared dead.
    replicas.first.await_rows("select 1 where (select count(*) from conversations_worker) = 2")
    replicas_baseline.check((person, conversation), expected_logs=["/readyz"])
