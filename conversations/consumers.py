"""The socket of an open conversation: authorise, subscribe, forward. Nothing comes in by it."""

import asyncio
import logging
import time
import uuid
from collections.abc import Coroutine, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError

from conversations import metrics
from conversations.control import Listener, doorbell
from conversations.generation import mirror, worker
from conversations.generation.live import Cursor, LiveText, Source, live_text, tick_seconds
from conversations.models import Message, Status
from conversations.models.conversation import Tree, visible
from conversations.models.generation import LIVE
from conversations.rendering import fragments, outcomes
from conversations.sidebar import Sidebar
from conversations.threads import in_thread

logger = logging.getLogger(__name__)

SIGNED_OUT, GONE, FAILED, GOING_AWAY = 4401, 4404, 4500, 4503  # autobahn sends 1000 and 4000 to 4999 only
MOST_UNSENT = 64 * 1024  # bytes; a viewer that reads slower than this waits for its next frame, at no cost to others
SLOW_SECONDS = 0.1
BEAT_SECONDS = 15.0  # of silence, then an empty frame: a page that hears nothing for much longer connects anew
BEHIND = "behind"  # what the page is told instead of a text's source while it is sent what was said before
RETRY_SECONDS = 1.0
# How long a session that was seen to be good counts as such. What ends one rings; this is for a ring that was lost.
TRUSTED_SECONDS = 30.0

SessionStore = import_module(settings.SESSION_ENGINE).SessionStore


class Refused(Exception):
    """This session may not see this conversation; `code` is the close code that says why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class View(NamedTuple):
    """What there is to see of a conversation, the newest generations of the messages a page may show among it."""

    tree: Tree
    path: list[int]  # message ids, from the first prompt on
    newest: dict[int, int]  # generation id by message id
    live: set[int]  # messages that are being generated


class Shown(NamedTuple):
    """What a page shows of a message: its newest generation, and the live text of that while it runs."""

    generation_id: int | None
    live: LiveText | None = None


class Difference(NamedTuple):
    """What a page has to be told to show a view."""

    view: View
    first: int  # where in the path the page begins
    begins_anew: bool
    left: list[int]  # messages that it shows and should not
    changed: list[Message]  # those that it does not show yet, or not as they are
    articles: str  # their HTML; the text of a live one is left to its cursor
    endings: dict[int, list[str]]  # by message: what shows how it ended
    listed: list[str]  # what keeps the list of conversations true


class ConversationConsumer(AsyncWebsocketConsumer):
    """Sends its owner what a conversation shows, from what the page has `seen` on, for as long as it is open."""

    # No layer: one that is down or frozen cannot keep a socket from opening. `control` rings instead.
    channel_layer_alias = "none"

    async def connect(self) -> None:
        self.conversation_id: uuid.UUID = self.scope["url_route"]["kwargs"]["conversation_id"]
        self.path: list[int] = []  # what the page shows, and before `first`, could show
        self.first = 0
        self.stale = False  # it shows a branch that was left meanwhile, elsewhere
        self.running: int | None = -1  # the generation that the page can stop; what it says at first is not known
        self.shown: dict[int, Shown] = {}
        self.followers: dict[int, asyncio.Task[None]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.user_id = 0
        self.counted = False
        self.doubted = True  # whether this session is still signed in
        self.trusted_until = 0.0
        self.changed = asyncio.Event()
        asked = parse_qs(self.scope["query_string"].decode())
        self.asked = {name: values[0] for name, values in asked.items()}
        self.sidebar = Sidebar(self.asked.get("listed", ""))
        self.sent_at = time.monotonic()
        if (serving := worker.current()) and serving.draining:
            await self.close()  # before it is accepted: the handshake is refused, and the page tries again elsewhere
            return
        for topic, listener in self._topics():
            doorbell.listen(topic, listener)
        try:
            difference = await in_thread(self._difference, True)
        except Refused:
            await self.close()
            return
        await self.accept()
        metrics.SOCKETS.inc()
        self.counted = True
        self._spawn(self._beat())
        self._spawn(self._watch(difference))

    async def disconnect(self, code: int) -> None:
        for topic, listener in [*self._topics(), (f"list.{self.user_id}", self._ring_list)]:
            doorbell.unlisten(topic, listener)
        if self.counted:
            metrics.SOCKETS.dec()
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

    def _ring_list(self, conversation_id: str) -> None:
        if conversation_id != str(self.conversation_id):  # for which it is rung by itself
            self.sidebar.ring(conversation_id)
            self.changed.set()

    def _account(self, user_id: str) -> None:
        if user_id == str(self.user_id):
            self.doubted = True
            self.changed.set()

    def _drain(self, _subject: str) -> None:
        self._spawn(self.close(code=GOING_AWAY))

    async def _watch(self, difference: Difference) -> None:
        """Bring the page to what the database says, now and after every ring."""
        while True:
            await self._show(difference)
            await self.changed.wait()
            self.changed.clear()
            try:
                difference = await in_thread(self._difference)
            except Refused as refused:
                await self.close(code=refused.code)
                return
            except DatabaseError as error:
                logger.info("a socket waits for the database: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self.changed.set()

    async def _show(self, difference: Difference) -> None:
        """Send what the page does not show yet; follow what is live."""
        view, parts = difference.view, []
        for pk in difference.left:
            self._forget(pk)
        if difference.begins_anew:
            earlier = fragments.earlier(self.conversation_id, view.path[difference.first]) if difference.first else ""
            if self.path or self.stale or earlier:
                parts.append(fragments.replace("messages", earlier))
            self.stale = False
        else:
            parts += [fragments.remove(f"message-{pk}") for pk in difference.left]
        self.path, self.first = view.path, difference.first
        for pk, ending in difference.endings.items():
            parts += ending
            self._forget(pk)
            self.shown[pk] = Shown(view.newest.get(pk))
        for message in difference.changed:
            pk = message.pk
            self._forget(pk)
            live = live_text(view.newest[pk], pk) if pk in view.live else None
            self.shown[pk] = Shown(view.newest.get(pk), live)
            if live:
                _prepare(live, message)
        if difference.articles:
            parts.append(fragments.append("messages", difference.articles))
        running = next((view.newest[pk] for pk in view.path if pk in view.live), None)
        if self.running != running:
            self.running = running
            parts.append(fragments.composer_actions(running))
        parts += difference.listed
        for frame in fragments.frames(parts):
            await self._send(frame)
        for pk, shown in self.shown.items():
            if not shown.live:
                continue
            if pk not in view.live and shown.live.status == Status.QUEUED:
                shown.live.end()  # stopped while it waited: nobody else will say so
            if pk not in self.followers:
                self.followers[pk] = self._spawn(self._follow(shown.live))

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
            if frames and not live.has_runner:  # which gathers before it feeds
                await asyncio.sleep(tick_seconds(live.tail_characters))
            await live.change_after(version)
        # The database tells how it ended. By then this task counts as done, so the ring must come after it.
        asyncio.get_running_loop().call_soon(self.changed.set)

    async def _send(self, frame: str) -> None:
        await self._until_read()
        self.sent_at = time.monotonic()
        self.scope["send_text"](frame)

    async def _until_read(self) -> bool:
        """Wait until the client has read what it was sent, all but a little; tell whether that took any waiting."""
        waited = False
        while self.scope["unsent"]() > MOST_UNSENT:
            if not waited:
                metrics.LATE_FRAMES.inc()
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

    def _forget(self, pk: int) -> None:
        self.shown.pop(pk, None)
        if task := self.followers.pop(pk, None):
            task.cancel()

    def _difference(self, at_first: bool = False) -> Difference:
        """Return what separates the page from what there is to see now. Raises `Refused` as `_view` does.

        In a thread, all that the database has to say at once: the page's state changes when everything is there.
        """
        ended = [pk for pk, known in self.shown.items() if known.live and known.live.ended]  # before it is read whether
        view = self._view(at_first)
        same = common_length(self.path, view.path)
        # The thread changed above what the page shows, or it shows nothing yet: it begins with the newest messages.
        anew = same < self.first or not self.path or len(view.path) - same > fragments.PAGE
        first = max(0, len(view.path) - fragments.PAGE) if anew else self.first
        left = list(self.shown) if anew else self.path[same:]
        kept = {pk: known for pk, known in self.shown.items() if pk not in left}
        changed, endings = [], {}
        for pk in view.path[first:]:
            known = kept.get(pk)
            if known is None or known.generation_id != view.newest.get(pk):
                changed.append(pk)
            elif pk in view.live and (known.live is None or pk in ended):
                changed.append(pk)  # it was given back, and is generated anew
            elif pk not in view.live and known.live and self.followers[pk].done():  # else it has text to send yet
                endings[pk] = self._ending(view, pk, known.live)
        messages = self.conversation.read(view.tree, changed) if changed else []
        articles = "".join(fragments.article(m, fragments.state_of(m, with_text=False)) for m in messages)
        listed = []
        if self.sidebar.top:
            listed = self.sidebar.parts(self.user_id, self.conversation, running=bool(view.live))
        return Difference(view, first, anew, left, messages, articles, endings, listed)

    def _ending(self, view: View, pk: int, sent: LiveText) -> list[str]:
        messages = self.conversation.read(view.tree, [pk], reasoning=True)
        return [part for message in messages for part in fragments.ending(message, sent.thought, sent.html)]

    def _view(self, at_first: bool) -> View:
        """Return what there is to see now. Raises `Refused` if this session may not see it (any more).

        At first the page tells what it shows: messages in their final form, from `first` to `seen`.
        """
        if self.doubted or time.monotonic() > self.trusted_until:
            self._authorise()
        if not (found := visible(self.user_id, self.conversation_id)):
            raise Refused(GONE)
        [conversation] = found
        self.conversation = conversation
        tree = conversation.tree()
        path = tree.path_to(conversation.leaf_id)
        if at_first:
            at = {str(pk): number for number, pk in enumerate(path)}
            first, seen = (at.get(self.asked.get(name)) for name in ("first", "seen"))
            if first is not None and seen is not None:
                self.first, self.path = first, path[: seen + 1]
            else:
                self.stale = "seen" in self.asked
        last_page = max(0, len(path) - fragments.PAGE)
        window = path[min(self.first, last_page) if self.path else last_page :]
        # The newest of a message comes last.
        newest = {message: (pk, status) for message, pk, status in conversation.statuses(window)}
        live = {message for message, (_, status) in newest.items() if status in LIVE}
        newest = {message: pk for message, (pk, _) in newest.items()}
        if at_first:
            self.shown = {pk: Shown(newest.get(pk)) for pk in self.path[self.first :]}
        return View(tree, path, newest, live)

    def _authorise(self) -> None:
        """Read the session anew: signing out, a new password or deactivation end what a socket may show."""
        self.doubted = False  # before it is read: who doubts it meanwhile is heard the next time
        session = SessionStore(self.scope["cookies"].get(settings.SESSION_COOKIE_NAME))
        user = get_user(SimpleNamespace(session=session))
        if not user.is_authenticated:
            raise Refused(SIGNED_OUT)
        self.user_id, self.trusted_until = user.pk, time.monotonic() + TRUSTED_SECONDS
        doorbell.listen(f"list.{user.pk}", self._ring_list)  # before the list is read, so that no ring is missed


def _prepare(live: LiveText, message: Message) -> None:
    """Tell `live` what its generation does, and what it goes on with."""
    if message.generation is None or message.generation.pk != live.generation_id:
        return  # there is a newer one already, whose ring is on its way
    live.tell(doing=outcomes.doing(message.generation))
    if message.generation.goes_on:
        live.go_on_from(message)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many elements two paths share from their beginning on."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
