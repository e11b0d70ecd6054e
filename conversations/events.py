"""The event bus: publish and subscribe, in this process and between replicas. An event says that something changed.

Only this module uses the channel layer. Subscribers are called on the event loop. Events can be lost, for example while
Redis is unavailable, so nothing may depend on them alone: workers also sweep the queue, sockets check their session
regularly, and mirrors read committed text.
"""

import asyncio
import logging
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum, auto
from typing import Any, Self

from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.db import connections, transaction
from redis.exceptions import RedisError

from chatsite import metrics
from chatsite.supervision import supervisor

logger = logging.getLogger(__name__)

GROUP = "processes"
# Nothing that people wait for waits for this long; see `generation.mirror`. A busy machine can take a second to send.
SEND_TIMEOUT = 5.0
MAX_PENDING = 1_000  # events that are being sent; while Redis is frozen, further ones are dropped
RETRY_SECONDS = 1.0
CLOSE_TIMEOUT = 1.0  # a cancelled receive sends an unsubscribe, to which a frozen Redis does not respond
OUTAGES = (RedisError, OSError)  # TimeoutError is an OSError

# The argument of callbacks: the subject as a string, or the event's data.
Payload = str | dict[str, Any]
Callback = Callable[[Any], object]


class Scope(Enum):
    PROCESS = auto()
    CLUSTER = auto()  # all replicas


class Topic(Enum):
    """The kinds of events: name between replicas, scope, and whether to subscribe to one subject (`by_subject`).

    Names must not change, because replicas of different versions run side by side during an upgrade.
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
    """A registered callback, until `close`. Closing again has no effect."""

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
    """The subscribers of this process, and between `start` and `close` the connection to other replicas."""

    def __init__(self) -> None:
        self.channel = ""  # on which other replicas can reach this process; "" while they cannot
        self._layer: RedisPubSubChannelLayer | None = None
        self._subscribers: dict[str, set[Subscription]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[object]] = set()

    @property
    def is_connected(self) -> bool:
        """Whether other replicas can reach this process."""
        return bool(self.channel)

    @property
    def subscriptions(self) -> int:
        """The number of open subscriptions."""
        return sum(map(len, self._subscribers.values()))

    def start(self, redis_prefix: str = "") -> None:
        """Call subscribers on the running event loop from now on.

        With a prefix for names on Redis, which is the site's own, also connect to the site's other replicas.
        """
        self._loop = asyncio.get_running_loop()
        if redis_prefix:
            self._layer = RedisPubSubChannelLayer(hosts=[settings.REDIS_HOST], prefix=redis_prefix)
            self._keep(supervisor.start("events", self._receive(self._layer)))

    async def close(self) -> None:
        tasks, self._loop, self._layer = list(self._tasks), None, None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)

    def subscribe(self, topic: Topic, callback: Callback, subject: object = None) -> Subscription:
        """Call `callback` with the payload of each event, for topics with `by_subject` of events with this subject.

        Call this on the event loop, and close the subscription.
        """
        return Subscription(self._subscribers, _address(topic, subject), callback)

    def publish(self, topic: Topic, subject: object = "", data: object = None) -> None:
        """Publish an event when the current transaction commits, or at once outside a transaction.

        Does not block, and may be called in any thread. `data` replaces the subject as payload.
        """
        payload = _payload(subject, data)
        # Not `get_connection`, which creates a connection for each task of the event loop that calls it.
        if any(connection.in_atomic_block for connection in connections.all(initialized_only=True)):
            transaction.on_commit(lambda: self._schedule(topic, subject, payload))
        else:
            self._schedule(topic, subject, payload)

    async def send(self, channel: str, topic: Topic, subject: object, data: dict[str, Any]) -> bool:
        """Send an event to one other process; return whether the channel layer accepted it in time."""
        if self._layer is None:
            return False
        return await self._send(self._layer.send, channel, self._message(_address(topic, subject), data))

    def send_soon(self, channel: str, topic: Topic, subject: object, data: dict[str, Any]) -> None:
        """Send an event to one other process, without waiting. Call this on the event loop."""
        if self._may_send():
            self._spawn(self.send(channel, topic, subject, data))

    def _schedule(self, topic: Topic, subject: object, payload: Payload) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._publish, topic, _address(topic, subject), payload)

    def _publish(self, topic: Topic, address: str, payload: Payload) -> None:
        self._dispatch(address, payload)
        if topic.scope is Scope.CLUSTER and self._layer is not None and self._may_send():
            self._spawn(self._send(self._layer.group_send, GROUP, self._message(address, payload)))

    def _message(self, address: str, payload: Payload) -> dict[str, Any]:
        return {"type": "ring", "topic": address, "subject": payload, "from": self.channel}

    def _dispatch(self, address: str, payload: Payload) -> None:
        for subscription in list(self._subscribers.get(address, ())):
            try:
                subscription.callback(payload)
            except Exception as error:  # noqa: BLE001  (of any kind: other subscribers and later events must not suffer)
                # Without the message of the error, which may quote the payload.
                where = "".join(traceback.format_tb(error.__traceback__))
                name = address.partition(".")[0]
                logger.error("a subscriber of %r failed: %s\n%s", name, type(error).__name__, where)

    def _spawn(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self._keep(asyncio.get_running_loop().create_task(coroutine))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _may_send(self) -> bool:
        """Return whether fewer than `MAX_PENDING` events are being sent; if not, count one as lost."""
        if len(self._tasks) < MAX_PENDING:
            return True
        metrics.EVENTS_LOST.inc()
        return False

    async def _send(self, send: Callable[..., Awaitable[None]], name: str, message: dict[str, Any]) -> bool:
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await send(name, message)
        except OUTAGES as error:
            logger.info("event not sent to other replicas: %s", type(error).__name__)
            metrics.EVENTS_LOST.inc()
            return False
        return True

    async def _receive(self, layer: RedisPubSubChannelLayer) -> None:
        while True:
            try:
                self.channel = await layer.new_channel()
                await layer.group_add(GROUP, self.channel)
                while True:
                    try:
                        self._accept(await layer.receive(self.channel))
                    except (ValueError, TypeError) as error:  # what arrived cannot be decoded, or is no event
                        logger.warning("skipped a malformed message from Redis: %s", type(error).__name__)
            except OUTAGES as error:
                self.channel = ""
                logger.info("no connection to the channel layer: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    def _accept(self, message: object) -> None:
        """Dispatch an event from another replica. Raises ValueError if it is none."""
        match message:
            case {"from": str(sender), "topic": str(address), "subject": str() | dict() as payload}:
                if sender != self.channel and address.partition(".")[0] in CLUSTER_NAMES:
                    self._dispatch(address, payload)
            case _:
                raise ValueError("not an event")


def _address(topic: Topic, subject: object) -> str:
    return f"{topic.wire_name}.{subject}" if topic.by_subject else topic.wire_name


def _payload(subject: object, data: object) -> Payload:
    if isinstance(data, dict):
        return data
    return str(subject if data is None else data)


bus = EventBus()
publish = bus.publish
subscribe = bus.subscribe
