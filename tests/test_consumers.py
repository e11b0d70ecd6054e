"""The socket's subscriptions, and its reaction when the database cannot be read."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, OperationalError

from chatsite.request_limit import AT_ONCE, RequestLimit
from conversations import consumers
from conversations.events import bus


class Outbox:
    def __init__(self) -> None:
        self.frames: asyncio.Queue[str] = asyncio.Queue()

    def send(self, text: str) -> None:
        self.frames.put_nowait(text)

    async def drained(self) -> bool:
        return False


class Page:
    """A page that sends each difference as one frame."""

    def __init__(self, *_: object) -> None:
        self.changed = asyncio.Event()
        self.live_texts: dict[object, object] = {}

    def conversation_changed(self, _: str) -> None:
        self.changed.set()

    list_changed = read = conversation_changed

    def apply(self, difference: str) -> list[str]:
        return [difference]


def consumer(limit: RequestLimit | None = None) -> consumers.ConversationConsumer:
    consumer = consumers.ConversationConsumer(limit=limit or RequestLimit())
    consumer.scope = {
        "path": "/ws/conversations/x/",
        "headers": [],
        "url_route": {"kwargs": {"conversation_id": "x"}},
        "query_string": b"",
        "cookies": {},
        "outbox": Outbox(),
    }
    return consumer


async def test_a_socket_that_cannot_read_the_database_leaves_no_subscription(monkeypatch: pytest.MonkeyPatch):
    async def fail(*_: object) -> None:
        raise OperationalError

    before = bus.subscriptions
    monkeypatch.setattr(consumers, "run_in_thread", fail)
    for _ in range(5):
        with pytest.raises(OperationalError):
            await consumer().connect()
    assert bus.subscriptions == before


async def test_a_socket_that_closes_while_it_connects_leaves_no_subscription(monkeypatch: pytest.MonkeyPatch):
    reading, proceed = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> None:
        reading.set()
        await proceed.wait()

    before = bus.subscriptions
    monkeypatch.setattr(consumers, "run_in_thread", wait)
    connecting = asyncio.create_task(consumer().connect())
    await reading.wait()
    assert bus.subscriptions > before
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    assert bus.subscriptions == before


async def test_a_failed_read_is_retried_and_nothing_is_sent_twice(monkeypatch: pytest.MonkeyPatch):
    results = iter([1, "first", OperationalError(), "second"])  # the user's id, then differences

    async def run_in_thread(_function: Callable[..., Any], *_: object) -> object:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    async def base_send(_message: dict[str, Any]) -> None:
        pass

    monkeypatch.setattr(consumers, "run_in_thread", run_in_thread)
    monkeypatch.setattr(consumers, "PageState", Page)
    monkeypatch.setattr(consumers, "RETRY_SECONDS", 0)
    socket = consumer()
    socket.base_send = base_send
    await socket.connect()
    frames = socket.scope["outbox"].frames
    assert await frames.get() == "first"
    socket.page.changed.set()
    assert await frames.get() == "second"
    await socket.disconnect(1000)


async def test_a_read_that_fails_without_an_outage_closes_the_socket(monkeypatch: pytest.MonkeyPatch):
    results, sent = iter([1, "first", DataError()]), []

    async def run_in_thread(_function: Callable[..., Any], *_: object) -> object:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    async def base_send(message: dict[str, Any]) -> None:
        sent.append(message)

    monkeypatch.setattr(consumers, "run_in_thread", run_in_thread)
    monkeypatch.setattr(consumers, "PageState", Page)
    socket = consumer()
    socket.base_send = base_send
    await socket.connect()
    socket.page.changed.set()
    await socket.running
    assert (sent[-1]["type"], sent[-1]["code"]) == ("websocket.close", consumers.FAILED)
    await socket.disconnect(consumers.FAILED)


async def test_one_socket_too_many_of_a_user_closes_their_oldest(monkeypatch: pytest.MonkeyPatch):
    user, sent = 1, {}

    async def run_in_thread(function: Callable[..., Any], *_: object) -> object:
        return "first" if function.__name__ == "conversation_changed" else user

    monkeypatch.setattr(consumers, "run_in_thread", run_in_thread)
    monkeypatch.setattr(consumers, "PageState", Page)

    async def connect() -> consumers.ConversationConsumer:
        socket = consumer()
        closed = sent[socket] = asyncio.get_running_loop().create_future()

        async def base_send(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.close":
                closed.set_result(message["code"])

        socket.base_send = base_send
        await socket.connect()
        return socket

    mine = [await connect() for _ in range(consumers.SOCKETS)]
    user = 2
    other = await connect()
    user = 1
    await mine[5].disconnect(1000)  # makes room for one
    mine.append(await connect())
    assert not any(closed.done() for closed in sent.values())
    mine += [await connect(), await connect()]
    async with asyncio.timeout(10):
        assert [await sent[mine[0]], await sent[mine[1]]] == [4429, 4429]
    assert sum(closed.done() for closed in sent.values()) == 2
    for socket in (*mine, other):
        await socket.disconnect(1000)
    assert not consumers.open_sockets


async def test_only_so_many_sockets_of_a_session_read_the_database_at_a_time(monkeypatch: pytest.MonkeyPatch):
    reading, most = 0, 0

    async def run_in_thread(function: Callable[..., Any], *_: object) -> object:
        nonlocal reading, most
        if function.__name__ != "run":
            return 1  # the user
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0)
        reading -= 1
        return "first"

    async def base_send(_message: dict[str, Any]) -> None:
        pass

    monkeypatch.setattr(consumers, "run_in_thread", run_in_thread)
    monkeypatch.setattr(consumers, "PageState", Page)
    limit = RequestLimit()
    sockets = [consumer(limit) for _ in range(5)]
    for socket in sockets:
        socket.base_send = base_send
    await asyncio.gather(*(socket.connect() for socket in sockets))
    assert most == AT_ONCE
    for socket in sockets:
        await socket.disconnect(1000)
