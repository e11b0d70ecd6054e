"""Events reach their subscribers after the commit, in this process and in other replicas."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from django.db import connections, transaction
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from chatsite import metrics
from chatsite.supervision import Supervisor
from conversations import events
from conversations.events import EventBus, Topic
from tests.endpoint import Endpoint, Exchange
from tests.services import Redis
from tests.site import WAIT, Person, Site

GOING_AWAY = 4503


async def answer_after_gate(exchange: Exchange) -> None:
    await exchange.answer("First words.")
    await exchange.gate("answer")
    await exchange.answer(" Last words.")
    await exchange.finish()


def subscribed(bus: EventBus, topic: Topic, subject: object = None) -> tuple[list[Any], asyncio.Event]:
    """Subscribe; return the list of payloads, and an event that is set with each."""
    payloads: list[Any] = []
    received = asyncio.Event()

    def callback(payload: Any) -> None:
        payloads.append(payload)
        received.set()

    bus.subscribe(topic, callback, subject)
    return payloads, received


async def happened(event: asyncio.Event) -> None:
    async with asyncio.timeout(WAIT):
        await event.wait()


async def test_an_event_reaches_the_subscribers_of_its_topic_and_subject():
    bus = EventBus()
    bus.start()
    payloads, received = subscribed(bus, Topic.CONVERSATION_CHANGED, 7)
    others, _ = subscribed(bus, Topic.CONVERSATION_CHANGED, 8)
    await asyncio.to_thread(bus.publish, Topic.CONVERSATION_CHANGED, 7)
    await received.wait()
    bus.publish(Topic.LIST_CHANGED, 7, "elsewhere")
    received.clear()
    bus.publish(Topic.CONVERSATION_CHANGED, 7, {"some": "data"})
    await received.wait()
    assert payloads == ["7", {"some": "data"}]
    assert others == []
    await bus.close()


async def test_a_closed_subscription_gets_no_events():
    bus = EventBus()
    bus.start()
    received_after_close: list[str] = []
    with bus.subscribe(Topic.ACCOUNT_CHANGED, received_after_close.append) as subscription:
        pass
    subscription.close()
    payloads, received = subscribed(bus, Topic.DRAINING)
    bus.publish(Topic.ACCOUNT_CHANGED, 1)
    bus.publish(Topic.DRAINING)
    await received.wait()
    assert (received_after_close, payloads) == ([], [""])
    assert bus.subscriptions == 1
    await bus.close()


async def test_publishing_on_the_event_loop_creates_no_database_connection():
    bus = EventBus()
    bus.start()
    payloads, received = subscribed(bus, Topic.GENERATION_QUEUED)
    bus.publish(Topic.GENERATION_QUEUED, 7)
    assert connections.all(initialized_only=True) == []
    await received.wait()
    assert payloads == ["7"]
    await bus.close()


@pytest.mark.django_db(transaction=True)
async def test_events_are_published_after_the_commit_and_not_after_a_rollback():
    bus = EventBus()
    bus.start()
    payloads, received = subscribed(bus, Topic.ACCOUNT_CHANGED)
    published, commit = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            bus.publish(Topic.ACCOUNT_CHANGED, "committed")
            published.set()
            commit.wait(WAIT)

    def roll_back() -> None:
        with transaction.atomic():
            bus.publish(Topic.ACCOUNT_CHANGED, "rolled back")
            transaction.set_rollback(True)

    await asyncio.to_thread(roll_back)
    writing = asyncio.create_task(asyncio.to_thread(write))
    await asyncio.to_thread(published.wait, WAIT)
    assert payloads == []
    commit.set()
    await received.wait()
    await writing
    assert payloads == ["committed"]
    await bus.close()


class Layer:
    """A channel layer with messages from the test, which keeps what is sent."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any] | bytes | Exception] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.accepting = asyncio.Event()  # cleared: like a frozen server, it takes what is sent and does not respond
        self.accepting.set()

    async def new_channel(self) -> str:
        return "own"

    async def group_add(self, group: str, channel: str) -> None:
        pass

    async def receive(self, channel: str) -> Any:
        message = await self.incoming.get()
        if isinstance(message, Exception):
            raise message
        return msgpack.unpackb(message) if isinstance(message, bytes) else message

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        self.sent.append(message)
        await self.accepting.wait()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self.send(group, message)


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    layer = Layer()
    monkeypatch.setattr("conversations.events.RedisPubSubChannelLayer", lambda **_: layer)
    return layer


async def test_events_with_process_scope_are_neither_sent_nor_received(layer: Layer):
    bus = EventBus()
    bus.start("prefix.")
    draining, drained = subscribed(bus, Topic.DRAINING)
    stops, stopped = subscribed(bus, Topic.STOP_REQUESTED)
    for topic, payload in (("draining", ""), ("unknown", ""), ("stop", "5")):
        layer.incoming.put_nowait({"type": "ring", "topic": topic, "subject": payload, "from": "other"})
    await stopped.wait()
    assert (draining, stops) == ([], ["5"])
    bus.publish(Topic.DRAINING)
    await drained.wait()
    bus.publish(Topic.STOP_REQUESTED, 6)
    stopped.clear()
    await stopped.wait()
    await asyncio.sleep(0)
    assert [message["topic"] for message in layer.sent] == ["stop"]
    await bus.close()


async def test_a_failing_subscriber_does_not_prevent_later_events(layer: Layer, caplog: pytest.LogCaptureFixture):
    bus = EventBus()
    bus.start("prefix.")
    bus.subscribe(Topic.STOP_REQUESTED, int)
    stops, stopped = subscribed(bus, Topic.STOP_REQUESTED)
    bus.publish(Topic.STOP_REQUESTED, "canary")
    await happened(stopped)
    stopped.clear()
    layer.incoming.put_nowait({"type": "ring", "topic": "stop", "subject": "canary", "from": "other"})
    await happened(stopped)
    assert stops == ["canary", "canary"]
    assert [record.getMessage().splitlines()[0] for record in caplog.records] == [
        "a subscriber of 'stop' failed: ValueError"
    ] * 2
    assert "canary" not in caplog.text  # the message of a ValueError quotes the value
    await bus.close()


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"\xc1canary",
        b"\x81\xa6canary",
        b"\xa1\xff",
        msgpack.packb(["canary"]),
        msgpack.packb({"topic": "stop", "subject": "canary"}),
        msgpack.packb({"topic": 5, "subject": "canary", "from": "other"}),
        msgpack.packb({"topic": "stop", "subject": None, "from": "other", "canary": 1}),
        msgpack.packb({"topic": "stop", "subject": ["canary"], "from": "other"}),
        msgpack.packb({"topic": "stop", "subject": "canary", "from": {}}),
    ],
)
async def test_a_malformed_message_is_logged_without_its_content_and_skipped(
    malformed: bytes, layer: Layer, caplog: pytest.LogCaptureFixture
):
    bus = EventBus()
    bus.start("prefix.")
    stops, stopped = subscribed(bus, Topic.STOP_REQUESTED)
    layer.incoming.put_nowait(malformed)
    layer.incoming.put_nowait({"type": "ring", "topic": "stop", "subject": "5", "from": "other"})
    await happened(stopped)
    assert stops == ["5"]
    [line] = caplog.records
    assert line.getMessage().startswith("skipped a malformed message from Redis: ")
    assert "canary" not in caplog.text
    await bus.close()


async def test_a_bus_that_cannot_receive_any_more_is_reported(layer: Layer, monkeypatch: pytest.MonkeyPatch):
    supervisor, died = Supervisor(), asyncio.Event()
    supervisor.on_death = died.set
    monkeypatch.setattr(events, "supervisor", supervisor)
    bus = EventBus()
    bus.start("prefix.")
    layer.incoming.put_nowait(RuntimeError("a fault of this site"))
    await happened(died)
    assert supervisor.dead == ["events"]
    await bus.close()


async def test_a_frozen_server_holds_up_a_limited_number_of_events_and_no_publisher(
    layer: Layer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("conversations.events.MAX_PENDING", 5)
    bus = EventBus()
    bus.start("prefix.")
    payloads, received = subscribed(bus, Topic.GENERATION_QUEUED)
    layer.accepting.clear()
    lost = metrics.EVENTS_LOST.collect()[0].samples[0].value
    for number in range(10):
        bus.publish(Topic.GENERATION_QUEUED, number)
        bus.send_soon("other", Topic.MIRROR_REQUEST, number, {})
    while len(payloads) < 10:
        received.clear()
        await received.wait()
    await asyncio.sleep(0)  # what is pending starts
    assert payloads == [str(number) for number in range(10)]
    assert len(layer.sent) < 5
    assert metrics.EVENTS_LOST.collect()[0].samples[0].value - lost == 20 - len(layer.sent)
    layer.accepting.set()
    assert await bus.send("other", Topic.MIRROR_REQUEST, 1, {})
    async with asyncio.timeout(WAIT):
        while layer.sent[-1]["subject"] != "later":
            bus.publish(Topic.GENERATION_QUEUED, "later")
            await asyncio.sleep(0)
    await bus.close()


async def test_an_event_that_is_not_accepted_in_time_is_lost(layer: Layer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("conversations.events.SEND_TIMEOUT", 0.01)
    bus = EventBus()
    assert not await bus.send("other", Topic.MIRROR_TEXT, 1, {})  # not connected to other replicas
    bus.start("prefix.")
    layer.accepting.clear()
    assert not await bus.send("other", Topic.MIRROR_TEXT, 1, {})
    layer.accepting.set()
    assert await bus.send("other", Topic.MIRROR_TEXT, 1, {})
    await bus.close()


def close_code(socket: ClientConnection, within: float) -> int:
    """Read until the other side closes the socket; return the code it closes with."""
    while True:
        try:
            socket.recv(timeout=within)
        except ConnectionClosed as closed:
            return closed.rcvd.code


@pytest.mark.postgresql
@pytest.mark.redis
def test_a_draining_replica_closes_only_its_own_sockets(
    make_site: Callable[..., Site], postgresql_database: str, redis_server: Redis, endpoint: Endpoint
):
    settings = {"database_url": postgresql_database, "REDIS_URL": redis_server.url}
    staying = make_site(**settings)
    endpoint.respond = answer_after_gate
    person = Person(staying, "ada")
    conversation = person.ask("Why?")
    endpoint.await_reached("answer")
    leaving = make_site(**settings)  # which therefore does not run the answer
    there = person.at(leaving)
    with person.socket(conversation) as socket, there.socket(conversation) as other:
        frames = ""
        while "First words." not in frames:
            frames += socket.recv(timeout=WAIT)
        assert leaving.stop() == 0
        assert close_code(other, within=WAIT) == GOING_AWAY
        endpoint.open("answer")
        while 'data-status="complete"' not in frames:
            frames += socket.recv(timeout=WAIT)
    person.close()
    there.close()
