"""The socket of an open conversation: authorise, subscribe, forward. Nothing comes in by it."""

import asyncio
import logging
import time
import uuid
from collections.abc import Coroutine
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError

from conversations.control import Listener, doorbell
from conversations.generation import mirror, worker
from conversations.generation.live import Cursor, LiveText, Source, live_text, tick_seconds
from conversations.models import Conversation, Message
from conversations.rendering import fragments

logger = logging.getLogger(__name__)

SIGNED_OUT, GONE, FAILED, GOING_AWAY = 4401, 4404, 4500, 4503  # autobahn sends 1000 and 4000 to 4999 only
MOST_UNSENT = 64 * 1024  # bytes; a viewer that reads slower than this waits for its next frame, at no cost to others
SLOW_SECONDS = 0.1
BEAT_SECONDS = 15.0  # of silence, then an empty frame: a page that hears nothing for much longer connects anew
BEHIND = "behind"  # what the page is told instead of a text's source while it is sent what was said before
RETRY_SECONDS = 1.0

SessionStore = import_module(settings.SESSION_ENGINE).SessionStore


class Refused(Exception):
    """This session may not see this conversation; `code` is the close code that says why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ConversationConsumer(AsyncWebsocketConsumer):
    """Sends its owner what a conversation shows, from what the page has `seen` on, for as long as it is open."""

    # No layer: one that is down or frozen cannot keep a socket from opening. `control` rings instead.
    channel_layer_alias = "none"

    async def connect(self) -> None:
        self.conversation_id: uuid.UUID = self.scope["url_route"]["kwargs"]["conversation_id"]
        self.shown: dict[int, LiveText | None] = {}
        self.followers: dict[int, asyncio.Task[None]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.changed = asyncio.Event()
        self.sent_at = time.monotonic()
        if (serving := worker.current()) and serving.draining:
            await self.close()  # before it is accepted: the handshake is refused, and the page tries again elsewhere
            return
        try:
            thread = await self._thread()
        except Refused:
            await self.close()
            return
        await self.accept()
        for topic, listener in self._topics():
            doorbell.listen(topic, listener)
        self._spawn(self._beat())
        self._spawn(self._watch(thread))

    async def disconnect(self, code: int) -> None:
        for topic, listener in self._topics():
            doorbell.unlisten(topic, listener)
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _topics(self) -> list[tuple[str, Listener]]:
        return [
            (f"conversation.{self.conversation_id}", self._ring),
            ("accounts", self._account),
            ("draining", self._drain),
        ]

    def _ring(self, _subject: str) -> None:
        self.changed.set()

    def _account(self, user_id: str) -> None:
        if user_id == self.user_id:
            self.changed.set()

    def _drain(self, _subject: str) -> None:
        self._spawn(self.close(code=GOING_AWAY))

    async def _watch(self, thread: list[Message]) -> None:
        """Bring the page to what the database says, now and after every ring."""
        seen = parse_qs(self.scope["query_string"].decode()).get("seen", [""])[0]
        upto = next((n for n, message in enumerate(thread, 1) if str(message.pk) == seen), 0)
        self.shown = {message.pk: None for message in thread[:upto]}
        if seen and not upto:
            # The page shows a version that was left meanwhile, elsewhere: it begins again.
            await self._send(fragments.replace("messages", ""))
        self.changed.set()
        while True:
            await self.changed.wait()
            self.changed.clear()
            try:
                await self._show(await self._thread())
            except Refused as refused:
                await self.close(code=refused.code)
                return
            except DatabaseError as error:
                logger.info("a socket waits for the database: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self.changed.set()

    async def _show(self, thread: list[Message]) -> None:
        """Send the difference between what the page shows and `thread`; follow what is live."""
        path = {message.pk for message in thread}
        parts = [fragments.remove(f"message-{pk}") for pk in self.shown if pk not in path]
        for pk in [pk for pk in self.shown if pk not in path]:
            self._unfollow(pk)
            del self.shown[pk]
        for message in thread:
            live = live_text(message.generation.pk, message.pk) if message.is_live else None
            if message.pk not in self.shown or (live and live is not self.shown[message.pk]):
                parts.append(fragments.append("messages", await self._article(message)))
                self._unfollow(message.pk)
            elif (ended := self.shown[message.pk]) and not live:
                if not self.followers[message.pk].done():
                    continue  # it has text to send yet, and rings when it has
                parts.append(await self._ending(message, ended))
                self._unfollow(message.pk)
            self.shown[message.pk] = live
        running = [message.generation.pk for message in thread if message.is_live]
        parts.append(fragments.composer_actions(running[0] if running else None))
        for frame in fragments.frames(parts):
            await self._send(frame)
        for pk, live in self.shown.items():
            if live and pk not in self.followers:
                self.followers[pk] = self._spawn(self._follow(live))

    async def _follow(self, live: LiveText) -> None:
        """Send what lies between this viewer's cursor and now, tick by tick, until the text ends."""
        mirror.ensure_fed(live)
        cursor, mark = Cursor(), Source.STORAGE.value  # as the article says
        while True:
            version, ended = live.version, live.ended
            late = await self._until_read()
            frames, cursor = live.since(cursor)
            behind = live.is_behind(cursor)
            for frame in frames:
                await self._send(frame)
            told = BEHIND if behind or late else live.source
            if told != mark:
                mark = told
                await self._send(fragments.feed(live.message_id, mark))
            if behind:
                await asyncio.sleep(0)
                continue
            if ended:
                break
            if frames:
                await asyncio.sleep(tick_seconds(live.tail_characters))
            await live.change_after(version)
        # The database tells how it ended. By then this task counts as done, so the ring must come after it.
        asyncio.get_running_loop().call_soon(self.changed.set)

    async def _send(self, frame: str) -> None:
        await self._until_read()
        self.sent_at = time.monotonic()
        await self.send(text_data=frame)

    async def _until_read(self) -> bool:
        """Wait until the client has read what it was sent, all but a little; tell whether that took any waiting."""
        waited = False
        while self.scope["unsent"]() > MOST_UNSENT:
            waited = True
            await asyncio.sleep(SLOW_SECONDS)
        return waited

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if time.monotonic() - self.sent_at >= BEAT_SECONDS:
                await self._send("")

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # A socket that shows nothing any more must not look alive: closed, the page begins anew.
            logger.error("a socket failed", exc_info=error)
            self._spawn(self.close(code=FAILED))

    def _unfollow(self, pk: int) -> None:
        if task := self.followers.pop(pk, None):
            task.cancel()

    @database_sync_to_async
    def _ending(self, message: Message, sent: LiveText) -> str:
        return fragments.ending(message, str(sent.reasoning), sent.html)

    @database_sync_to_async
    def _article(self, message: Message) -> str:
        """Return a message as it stands; without the text of a live one, which its cursor brings."""
        return fragments.article(message, fragments.state_of(message, with_text=False))

    @database_sync_to_async
    def _thread(self) -> list[Message]:
        """Return the thread as it is now. Raises `Refused` if this session may not see it (any more)."""
        session = SessionStore(self.scope["cookies"].get(settings.SESSION_COOKIE_NAME))
        # The session is read anew each time: signing out, a new password or deactivation end what a socket may show.
        user = get_user(SimpleNamespace(session=session))
        if not user.is_authenticated:
            raise Refused(SIGNED_OUT)
        self.user_id = str(user.pk)
        conversation = Conversation.objects.visible_to(user).filter(pk=self.conversation_id).first()
        if conversation is None:
            raise Refused(GONE)
        return conversation.path_to(conversation.leaf_id, with_text=False)
