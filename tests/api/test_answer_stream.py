"""What a stream does besides sending text: it keeps its connection alive, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import InterfaceError

from conversations.events import bus
from conversations.generation.live import LiveText, live_text
from conversations.inference.deltas import Delta
from conversations.models import Generation, Kind, Message
from conversations.views.api import stream
from conversations.views.api.stream import Position, open_streams, stream_response
from tests.factories import api_token, person, queued

pytestmark = pytest.mark.django_db(transaction=True)
WAIT = 10  # seconds


class Follower:
    """A client of one stream, and the live text that it follows."""

    def __init__(self, position: Position, *, has_runner: bool = True, name: str = "ada") -> None:
        token, _ = api_token(person(name))
        generation = queued(token.owner)
        self.generation = generation
        self.live: LiveText = live_text(generation.pk, generation.message_id)
        self.live.is_fed, self.live.has_runner = True, has_runner
        self.response = stream_response(token, generation, position)
        self.events: AsyncIterator[Any] = aiter(self.response)

    async def next(self, name: str = "") -> str:
        """Return the next event, or the next with this name."""
        async with asyncio.timeout(WAIT):
            while True:
                event = (await anext(self.events)).decode()
                if event.startswith(f"event: {name}" if name else ""):
                    return event

    def feed(self, kind: Kind, text: str) -> None:
        self.live.feed([Delta(kind, text)])

    async def leave(self) -> None:
        """Do what the server does when a client leaves that is waiting for the next event."""
        waiting = asyncio.ensure_future(anext(self.events))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        await asyncio.to_thread(self.response.close)
        self.live.end()


@pytest.fixture
async def follow() -> AsyncIterator[Callable[..., Any]]:
    followers: list[Follower] = []

    async def follow(position: Position | None = None, **options: bool) -> Follower:
        followers.append(await sync_to_async(Follower)(position or Position(), **options))
        return followers[-1]

    yield follow
    for follower in followers:
        await follower.leave()


async def test_a_stream_that_has_nothing_to_send_is_kept_alive(
    follow: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0)
    client = await follow()
    assert await client.next() == stream.START
    assert '"status": "queued"' in await client.next()
    assert await client.next() == stream.KEEP_ALIVE


async def test_a_client_that_leaves_leaves_nothing_behind():
    before, tasks = bus.subscriptions, asyncio.all_tasks()
    for has_waited in (True, False):
        client = await sync_to_async(Follower)(Position(), name=f"waited {has_waited}")
        await client.next("status")
        assert bus.subscriptions > before
        assert open_streams
        if has_waited:
            await client.leave()
        else:  # while an event was sent: Python closes the generators when nothing refers to them any more
            await client.events.aclose()
            await asyncio.to_thread(client.response.close)
            client.live.end()
        for _ in range(20):  # turns of the event loop
            await asyncio.sleep(0)
        assert bus.subscriptions == before
        assert not open_streams
        assert {task for task in asyncio.all_tasks() if not task.done()} <= tasks


async def test_a_response_that_is_never_sent_gives_its_place_back():
    client = await sync_to_async(Follower)(Position())
    assert open_streams
    await asyncio.to_thread(client.response.close)
    assert not open_streams


async def test_a_read_that_fails_in_an_outage_is_repeated(follow: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    failures, run_in_thread = [InterfaceError()], stream.run_in_thread

    async def fail_once(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return await run_in_thread(*given)

    monkeypatch.setattr(stream, "run_in_thread", fail_once)
    monkeypatch.setattr(stream, "RETRY_SECONDS", 0)
    client = await follow()
    assert '"queued"' in await client.next("status")
    assert not failures


async def test_another_attempt_starts_the_text_again(follow: Callable[..., Any]):
    client = await follow()
    await client.next("status")
    client.live.start(1)
    client.feed(Kind.REASONING, "One")
    assert '"One"' in await client.next("reasoning")
    client.live.start(2)
    client.feed(Kind.REASONING, "Two")
    assert (await client.next("reset")).startswith("event: reset\nid: 2-0-0-0-0\n")
    assert '"Two"' in await client.next("reasoning")


async def test_the_text_that_is_continued_stays_when_an_attempt_begins(follow: Callable[..., Any]):
    client = await follow(has_runner=False)
    message = await Message.objects.aget(pk=client.generation.message_id)
    message.reasoning, message.content, message.generation_list = "One", "Two", [client.generation]
    client.live.continue_from(message)
    assert '"One"' in await client.next("reasoning")
    client.live.start(1)
    client.feed(Kind.REASONING, "Three")
    events = [await client.next() for _ in range(3)]
    assert [event.partition("\n")[0] for event in events] == ["event: answer", "event: status", "event: reasoning"]
    assert "Three" in events[-1]


async def test_text_that_another_process_has_not_sent_yet_is_waited_for(follow: Callable[..., Any]):
    position = Position(attempt=1)
    position.advance("reasoning", "One ☃ ")
    client = await follow(Position.parse(str(position)), has_runner=False)
    await sync_to_async(Generation.objects.filter(pk=client.generation.pk).update)(attempt=1)
    await client.next("status")
    client.live.start(1)
    client.feed(Kind.REASONING, "One")
    await client.next("status")
    client.feed(Kind.REASONING, " ☃ two")
    assert (await client.next()).endswith('data: {"text": "two"}\n\n')


async def test_long_text_is_sent_in_pieces(follow: Callable[..., Any]):
    client = await follow()
    client.live.start(1)
    client.feed(Kind.ANSWER, "x" * (3 * stream.FRAME_CHARACTERS))
    sizes = [len(await client.next("answer")) for _ in range(3)]
    assert max(sizes) < stream.FRAME_CHARACTERS + 200


@pytest.mark.parametrize("text", ["", "1-2-3-4", "1-2-3-4-5-6", "-1-2-3-4-5", "1-2-3-4-5\n", "1-2-3-4-٣", "9" * 99])
def test_an_id_that_no_event_has_is_the_beginning(text: str):
    assert Position.parse(text) == Position()
