"""The doorbell between processes: it says that something changed, never what; the database says what.

Listeners in this process are called on its event loop. Other processes hear the same ring through the channel layer,
when there is one. A ring that is lost costs a second: workers sweep, and live views read what was committed.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

GROUP = "processes"
SEND_SECONDS = 0.25  # a frozen Redis must not hold up whoever rings
RETRY_SECONDS = 1.0

OUTAGES = (RedisError, OSError)  # TimeoutError is an OSError
Listener = Callable[[str], object]


class Doorbell:
    """Topics and their listeners in this process, and the wire to the other processes."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._channel = ""

    def open(self) -> None:
        """Take the running event loop as the one to call listeners on; hear other processes if Redis is configured."""
        self._loop = asyncio.get_running_loop()
        if settings.REDIS_URL:
            self._keep(self._hear())

    async def close(self) -> None:
        tasks, self._loop = list(self._tasks), None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def listen(self, topic: str, listener: Listener) -> None:
        self._listeners[topic].add(listener)

    def unlisten(self, topic: str, listener: Listener) -> None:
        self._listeners[topic].discard(listener)
        if not self._listeners[topic]:
            del self._listeners[topic]

    def ring(self, topic: str, subject: object) -> None:
        """Tell every listener of `topic`, here and elsewhere, about `subject`. Never waits; any thread may ring."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ring, topic, str(subject))

    def _ring(self, topic: str, subject: str) -> None:
        self._dispatch(topic, subject)
        if settings.REDIS_URL:
            self._keep(self._send(topic, subject))

    def _dispatch(self, topic: str, subject: str) -> None:
        for listener in list(self._listeners.get(topic, ())):
            listener(subject)

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, topic: str, subject: str) -> None:
        message = {"type": "ring", "topic": topic, "subject": subject, "from": self._channel}
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await get_channel_layer().group_send(GROUP, message)
        except OUTAGES as error:
            logger.info("the channel layer did not take a ring: %s", type(error).__name__)

    async def _hear(self) -> None:
        layer = get_channel_layer()
        while True:
            try:
                self._channel = await layer.new_channel()
                await layer.group_add(GROUP, self._channel)
                while True:
                    message = await layer.receive(self._channel)
                    if message["from"] != self._channel:
                        self._dispatch(message["topic"], message["subject"])
            except OUTAGES as error:
                logger.info("the channel layer is away: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)


doorbell = Doorbell()
