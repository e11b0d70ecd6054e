"""The event bus: says in this process, and to the other replicas, that something changed. The database says what.

Only this module uses the channel layer. Subscribers run on the event loop. Events can be lost, while Redis is away for
example, so nothing may depend on one alone: workers sweep, sockets check their session, live views read what was
committed.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any, Self

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from chatsite import metrics

logger = logging.getLogger(__name__)

GROUP = "processes"
SEND_SECONDS = 0.25  # a frozen Redis must not delay publishers
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 1.0  # cancelling the layer's receive sends an unsubscribe, which a frozen Redis never answers
OUTAGES = (RedisError, OSError)  # TimeoutError is an OSError

# What subscribers get: the subject as text, or the data the event was published with.
Payload = str | dict[str, Any]
Callback = Callable[[Any], object]


class Scope(Enum):
    PROCESS = auto()
    CLUSTER = auto()  # all replicas


class Topic(Enum):
    """Every kind of event: its name between replicas, also of different versions, its scope, and how it is addressed.

    With `by_subject`, subscribers name the subject whose events they want.
    """

    CONVERSATION_CHANGED = ("conversation", Scope.CLUSTER, True)  # subject: conversation id
    LIST_CHANGED = ("list", Scope.CLUSTER, True)  # subject: owner id; data: id of the conversation that changed
    ACCOUNT_CHANGED = ("accounts", Scope.CLUSTER)  # subject: user id, whose sessions may have ended
    GENERATION_QUEUED = ("queued", Scope.CLUSTER)  # subject: generation id
    GENERATION_CLAIMED = ("claimed", Scope.CLUSTER, True)  # subject: generation id
    STOP_REQUESTED = ("stop", Scope.CLUSTER)  # subject: generation id
    MIRROR_REQUEST = ("watch", Scope.CLUSTER)  # data: see `generation.mirror`
    MIRROR_TEXT = ("said", Scope.CLUSTER, True)  # subject: generation id; data: see `generation.mirror`
    DRAINING = ("draining", Scope.PROCESS)

    def __init__(self, wire_name: str, scope: Scope, by_subject: bool = False) -> None:
        self.wire_name = wire_name
        self.scope = scope
        self.by_subject = by_subject


CLUSTER_NAMES = {topic.wire_name for topic in Topic if topic.scope is Scope.CLUSTER}


class Subscription:
    """A callback's registration; `close` ends it. Closing twice does no harm."""

    def __init__(self, subscribers: dict[str, set["Subscription"]], address: str, callback: Callback) -> None:
        self.callback = callback
        self._subscribers = subscribers
        self._address = address
        subscribers[address].add(self)

    def close(self) -> None:
        if (registered := self._subscribers.get(self._address)) is not None:
            registered.discard(self)
            if not registered:
                del self._subscribers[self._address]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EventBus:
    """Subscribers of this process, and the connection to the other replicas. `start` and `close` frame its life."""

    def __init__(self) -> None:
        self.channel = ""  # where other replicas reach this process; "" while they cannot
        self._subscribers: dict[str, set[Subscription]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[object]] = set()

    @property
    def is_connected(self) -> bool:
        """Whether other replicas can reach this process."""
        return bool(self.channel)

    @property
    def subscriptions(self) -> int:
        """How many subscriptions are open."""
        return sum(map(len, self._subscribers.values()))

    def start(self) -> None:
        """Call subscribers on the running event loop from now on; listen to other replicas if Redis is configured."""
        self._loop = asyncio.get_running_loop()
        if settings.REDIS_URL:
            self._spawn(self._receive())

    async def close(self) -> None:
        tasks, self._loop = list(self._tasks), None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    def subscribe(self, topic: Topic, callback: Callback, subject: object = None) -> Subscription:
        """Call `callback` with the payload of each event; only of `subject` if the topic is published by subject.

        Call this on the event loop, and close what it returns.
        """
        return Subscription(self._subscribers, _address(topic, subject), callback)

    def publish(self, topic: Topic, subject: object = "", data: object = None) -> None:
        """Publish an event when the current transaction commits; at once outside a transaction.

        Never blocks. Any thread may call this. `data`, if given, is the payload instead of the subject.
        """
        payload = _payload(subject, data)
        if transaction.get_connection().in_atomic_block:
            transaction.on_commit(lambda: self._schedule(topic, subject, payload))
        else:
            self._schedule(topic, subject, payload)

    async def send(self, channel: str, topic: Topic, subject: object, data: dict[str, Any]) -> bool:
        """Send an event to one other process; return whether the channel layer took it in time."""
        message = self._message(_address(topic, subject), data)
        return await self._send(get_channel_layer().send(channel, message))

    def _schedule(self, topic: Topic, subject: object, payload: Payload) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._publish, topic, _address(topic, subject), payload)

    def _publish(self, topic: Topic, address: str, payload: Payload) -> None:
        self._dispatch(address, payload)
        if topic.scope is Scope.CLUSTER and settings.REDIS_URL:
            self._spawn(self._send(get_channel_layer().group_send(GROUP, self._message(address, payload))))

    def _message(self, address: str, payload: Payload) -> dict[str, Any]:
        return {"type": "ring", "topic": address, "subject": payload, "from": self.channel}

    def _dispatch(self, address: str, payload: Payload) -> None:
        for subscription in list(self._subscribers.get(address, ())):
            subscription.callback(payload)

    def _spawn(self, coroutine: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, sending: Coroutine[Any, Any, None]) -> bool:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await sending
        except OUTAGES as error:
            logger.info("event not sent to other replicas: %s", type(error).__name__)
            metrics.EVENTS_LOST.inc()
            return False
        return True

    async def _receive(self) -> None:
        layer, loop = get_channel_layer(), asyncio.get_running_loop()
        while True:
            try:
                self.channel = await layer.new_channel()
                await layer.group_add(GROUP, self.channel)
                while True:
                    message = await layer.receive(self.channel)
                    if message["from"] != self.channel and message["topic"].partition(".")[0] in CLUSTER_NAMES:
                        # Scheduled, so that a failing subscriber cannot end this loop.
                        loop.call_soon(self._dispatch, message["topic"], message["subject"])
            except OUTAGES as error:
                self.channel = ""
                logger.info("no connection to the channel layer: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)


def _address(topic: Topic, subject: object) -> str:
    return f"{topic.wire_name}.{subject}" if topic.by_subject else topic.wire_name


def _payload(subject: object, data: object) -> Payload:
    if isinstance(data, dict):
        return data
    return str(subject if data is None else data)


bus = EventBus()
publish = bus.publish
subscribe = bus.subscribe
