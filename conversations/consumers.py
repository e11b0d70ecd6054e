"""The socket of an open conversation: authorise, subscribe, forward. Clients send nothing through it."""

import asyncio
import logging
import time
import uuid
from collections.abc import Coroutine
from contextlib import ExitStack
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError

from chatsite import metrics
from conversations.events import Topic, subscribe
from conversations.generation import mirror, worker
from conversations.generation.live import Cursor, Source, tick_seconds
from conversations.page_state import Difference, NotVisible, PageState, ShownMessage
from conversations.rendering import fragments
from conversations.threads import in_thread

if TYPE_CHECKING:
    from chatsite.server import Outbox

logger = logging.getLogger(__name__)

SIGNED_OUT, GONE, FAILED, GOING_AWAY = 4401, 4404, 4500, 4503  # autobahn sends 1000 and 4000 to 4999 only
HEARTBEAT_SECONDS = 15.0  # without other frames; a page that hears nothing for much longer reconnects
RETRY_SECONDS = 1.0
# How long a valid session is not checked again. Events announce its end; this is the limit if one is lost.
SESSION_SECONDS = 30.0
CATCHING_UP = "behind"  # shown instead of a text's source while earlier text is still being sent

SessionStore = import_module(settings.SESSION_ENGINE).SessionStore


class SignedOut(Exception):
    """The session of this socket has ended."""


class ConversationConsumer(AsyncWebsocketConsumer):
    """Sends the owner of a conversation what their page does not show yet, for as long as it is open."""

    # No channel layer, which could be down or frozen when a socket opens. `events` is used instead.
    channel_layer_alias = "none"

    async def connect(self) -> None:
        self.outbox: Outbox = self.scope["outbox"]
        self.followers: dict[int, tuple[ShownMessage, asyncio.Task[None]]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.subscriptions = ExitStack()
        self.changed = asyncio.Event()
        self.user_id: int | None = None
        self.session_doubted = True
        self.session_valid_until = 0.0
        self.sent_at = time.monotonic()
        if (serving := worker.current()) and serving.draining:
            await self.close()  # refused before it is accepted: the page tries again and reaches another replica
            return
        conversation_id: uuid.UUID = self.scope["url_route"]["kwargs"]["conversation_id"]
        query = {name: values[0] for name, values in parse_qs(self.scope["query_string"].decode()).items()}
        with ExitStack() as subscriptions:
            # Before anything is read, so that no change is missed.
            subscriptions.enter_context(subscribe(Topic.CONVERSATION_CHANGED, self._changed, conversation_id))
            subscriptions.enter_context(subscribe(Topic.ACCOUNT_CHANGED, self._account_changed))
            subscriptions.enter_context(subscribe(Topic.DRAINING, self._draining))
            try:
                user_id = await in_thread(self._authorise)
                self.page = PageState(user_id, conversation_id, query)
                subscriptions.enter_context(subscribe(Topic.LIST_CHANGED, self._list_changed, user_id))
                difference = await in_thread(self.page.read)
            except (SignedOut, NotVisible):
                await self.close()
                return
            await self.accept()
            self.subscriptions = subscriptions.pop_all()
        metrics.SOCKETS.inc()
        self.subscriptions.callback(metrics.SOCKETS.dec)
        self._spawn(self._heartbeat())
        self._spawn(self._watch(difference))

    async def disconnect(self, code: int) -> None:
        self.subscriptions.close()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, _conversation_id: str) -> None:
        self.changed.set()

    def _list_changed(self, conversation_id: str) -> None:
        self.page.list_changed(conversation_id)
        self.changed.set()

    def _account_changed(self, user_id: str) -> None:
        if self.user_id is None or user_id == str(self.user_id):
            self.session_doubted = True
            self.changed.set()

    def _draining(self, _subject: str) -> None:
        self._spawn(self.close(code=GOING_AWAY))

    def _authorise(self) -> int:
        """Return the id of the user whose session this is. Raises `SignedOut`."""
        self.session_doubted = False  # before it is read: an event that comes meanwhile counts
        session = SessionStore(self.scope["cookies"].get(settings.SESSION_COOKIE_NAME))
        user = get_user(SimpleNamespace(session=session))
        if not user.is_authenticated or self.user_id not in (None, user.pk):
            raise SignedOut
        self.user_id, self.session_valid_until = user.pk, time.monotonic() + SESSION_SECONDS
        return user.pk

    def _read(self) -> Difference:
        if self.session_doubted or time.monotonic() > self.session_valid_until:
            self._authorise()
        return self.page.read()

    async def _watch(self, difference: Difference) -> None:
        """Forward what the page lacks, now and after every change."""
        while True:
            frames = self.page.apply(difference)
            for pk, (shown, task) in list(self.followers.items()):
                if self.page.shown.get(pk) is not shown:
                    task.cancel()
                    del self.followers[pk]
            for frame in frames:
                await self._send(frame)
            for pk, shown in self.page.shown.items():
                if shown.live and pk not in self.followers:
                    self.followers[pk] = shown, self._spawn(self._follow(shown))
            await self.changed.wait()
            self.changed.clear()
            try:
                difference = await in_thread(self._read)
            except (SignedOut, NotVisible) as error:
                await self.close(code=SIGNED_OUT if isinstance(error, SignedOut) else GONE)
                return
            except DatabaseError as error:
                logger.info("socket waits for the database: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self.changed.set()

    async def _follow(self, shown: ShownMessage) -> None:
        """Forward a live text, frame by frame, until it ends."""
        live = shown.live
        mirror.ensure_fed(live)
        cursor, source = Cursor(), Source.STORAGE.value  # as the article says
        while True:
            version, ended = live.version, live.ended
            late = await self.outbox.drained()
            frames, cursor = live.since(cursor)
            behind = live.is_behind(cursor)
            for frame in frames:
                await self._send(frame)
            now_from = CATCHING_UP if behind or late else live.source
            if now_from != source:
                source = now_from
                await self._send(fragments.source_mark(live.message_id, source))
            if behind:
                await asyncio.sleep(0)
                continue
            if ended:
                break
            if frames and not live.has_runner:  # a runner gathers deltas before it feeds them
                await asyncio.sleep(tick_seconds(live.tail_characters))
            await live.change_after(version)
        shown.delivered = True
        self.changed.set()  # the database says how it ended

    async def _send(self, frame: str) -> None:
        await self.outbox.drained()
        self.sent_at = time.monotonic()
        self.outbox.send(frame)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if time.monotonic() - self.sent_at >= HEARTBEAT_SECONDS:
                await self._send("")

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # Closed, so that the page reconnects; a socket that forwards nothing must not look alive.
            logger.error("socket failed", exc_info=error)
            self._spawn(self.close(code=FAILED))
