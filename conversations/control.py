"""The doorbell between processes, and the post between two of them: all that ever passes through the channel layer.

A ring says that something changed, never what; the database says what. Listeners in this process are called on its
event loop; other processes hear the same ring through the channel layer, when there is one. What is posted goes to one
process. Either may be lost: workers sweep, and live views read what was committed.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

from conversations import metrics

logger = logging.getLogger(__name__)

GROUP = "processes"
SEND_SECONDS = 0.25  # a frozen Redis must not hold up whoever rings
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 1.0  # the layer unsubscribes when it is cancelled, which a frozen Redis would never let it finish

OUTAGES = (RedisError, OSError)  # TimeoutError is an OSError
# What a ring is about: an id as text, or what `mirror` says.
Listener = Callable[[Any], object]


class Doorbell:
    """Topics and their listeners in this process, and the wire to the other processes."""

    def __init__(self) -> None:
        self.channel = ""  # where others reach this process; "" while none can
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def reaches_others(self) -> bool:
        return bool(self.channel)

    def open(self) -> None:
        """Take the running event loop as the one to call listeners on; hear other processes if Redis is configured."""
        self._loop = asyncio.get_running_loop()
        if settings.REDIS_URL:
            self._keep(self._receive())

    async def close(self) -> None:
        tasks, self._loop = list(self._tasks), None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    def listen(self, topic: str, listener: Listener) -> None:
        self._listeners[topic].add(listener)

    def unlisten(self, topic: str, listener: Listener) -> None:
        self._listeners[topic].discard(listener)
        if not self._listeners[topic]:
            del self._listeners[topic]

    def ring(self, topic: str, subject: object) -> None:
        """Tell every listener of `topic`, here and elsewhere, about `subject`. Never waits; any thread may ring."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ring, topic, subject if isinstance(subject, dict) else str(subject))

    async def post(self, channel: str, topic: str, subject: dict[str, Any]) -> bool:
        """Tell the listeners of `topic` in one other process; return whether the layer took it in time."""
        message = {"type": "ring", "topic": topic, "subject": subject, "from": self.channel}
        return await self._send(get_channel_layer().send(channel, message))

    def _ring(self, topic: str, subject: object) -> None:
        self._dispatch(topic, subject)
        if settings.REDIS_URL:
            message = {"type": "ring", "topic": topic, "subject": subject, "from": self.channel}
            self._keep(self._send(get_channel_layer().group_send(GROUP, message)))

    def _dispatch(self, topic: str, subject: object) -> None:
        for listener in list(self._listeners.get(topic, ())):
            listener(subject)

    def _keep(self, coroutine: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, sending: Coroutine[Any, Any, None]) -> bool:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await sending
        except OUTAGES as error:
            logger.info("the channel layer did not take a ring: %s", type(error).__name__)
            metrics.RINGS_LOST.inc()
            return False
        return True

    async def _receive(self) -> None:
        layer = get_channel_layer()
        while True:
            try:
                self.channel = await layer.new_channel()
                await layer.group_add(GROUP, self.channel)
                while True:
                    message = await layer.receive(self.channel)
                    if message["from"] != self.channel:
                        self._dispatch(message["topic"], message["subject"])
            except OUTAGES as error:
                self.channel = ""
                logger.info("the channel layer is away: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)


doorbell = Doorbell()
