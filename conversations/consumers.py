"""The socket of an open conversation: authorise, subscribe, forward. Clients send nothing through it."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qsl

from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error

from chatsite import metrics
from chatsite.outages import describe, is_outage
from chatsite.request_limit import RequestLimit, session_of
from chatsite.time_zones import zone_of
from conversations.events import Topic, subscribe
from conversations.forwarding import forward_page
from conversations.generation import worker
from conversations.page_state import Difference, NotVisible, PageState
from conversations.session_monitor import SignedOut, SocketSession, monitor
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
SOCKETS = 20  # of one user at this process


class Draining(Exception):
    """This process is shutting down."""


class Replaced(Exception):
    """The user has opened more than `SOCKETS`, and this is the oldest: the page that they look at must work."""


# Close codes, for the page's script. Autobahn sends 1000 and 4000 to 4999 only.
CODES: dict[type[Exception], int] = {SignedOut: 4401, NotVisible: 4404, Replaced: 4429, Draining: 4503}
FAILED = 4500

open_sockets: dict[int, list["ConversationConsumer"]] = {}  # by user, the oldest first


class ConversationConsumer(AsyncWebsocketConsumer):
    """Keeps one page up to date: sends the owner of a conversation everything that their page does not show."""

    def __init__(self, *, limit: RequestLimit) -> None:
        super().__init__()
        self.limit = limit
        self.subscriptions = ExitStack()
        self.running: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()
        self.reason: Exception | None = None

    async def connect(self) -> None:
        if worker.is_draining():
            raise DenyConnection  # the page reconnects, to another replica
        conversation_id = self.scope["url_route"]["kwargs"]["conversation_id"]
        query = dict(parse_qsl(self.scope["query_string"].decode()))
        self.page = PageState(conversation_id, query, zone_of(self.scope["cookies"]))
        key = self.scope["cookies"].get(settings.SESSION_COOKIE_NAME, "")
        self.session = SocketSession(None if "\0" in key else key)  # PostgreSQL accepts no NUL
        with ExitStack() as subscriptions:
            # Before anything is read, so that no change is missed.
            subscriptions.enter_context(
                subscribe(Topic.CONVERSATION_CHANGED, self.page.conversation_changed, conversation_id)
            )
            subscriptions.enter_context(monitor.watch(self.session))
            subscriptions.enter_context(subscribe(Topic.DRAINING, lambda _: self.end(Draining())))
            try:
                self.user_id = await run_in_thread(self.session.authorise)
                subscriptions.enter_context(subscribe(Topic.LIST_CHANGED, self.page.list_changed, self.user_id))
                difference = await self._read()
            except (SignedOut, NotVisible) as error:
                raise DenyConnection from error
            await self.accept()
            subscriptions.enter_context(self._counted())
            self.subscriptions = subscriptions.pop_all()
        metrics.SOCKETS.inc()
        self.subscriptions.callback(metrics.SOCKETS.dec)
        self.running = asyncio.create_task(self._run(difference))

    async def disconnect(self, code: int) -> None:
        self.subscriptions.close()
        if self.running:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    def end(self, reason: Exception) -> None:
        """Close the socket with the code for `reason`."""
        self.reason = self.reason or reason
        self.ended.set()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count this socket as open, and end the user's oldest if they have too many."""
        sockets = open_sockets.setdefault(self.user_id, [])
        sockets.append(self)
        if len(sockets) > SOCKETS:
            sockets.pop(0).end(Replaced())
        try:
            yield
        finally:
            if self in sockets:
                sockets.remove(self)
                if not sockets:
                    del open_sockets[self.user_id]

    async def _run(self, difference: Difference) -> None:
        """Forward until the socket must be closed; close it with the code that tells the page why."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch_end())
                tasks.create_task(self._watch_session())
                await forward_page(self.page, difference, self._next_difference, self.scope["outbox"], tasks)
        except* tuple(CODES) as group:
            code = CODES[type(group.exceptions[0])]
        except* Exception:
            logger.exception("socket failed")
            code = FAILED
        await self.close(code=code)

    async def _next_difference(self) -> Difference:
        """Return what the page does not show after the next change. Raises `NotVisible`."""
        while True:
            await self.page.changed.wait()
            self.page.changed.clear()
            try:
                return await self._read()
            except Error as error:
                if not is_outage(error):
                    raise
                logger.info("conversation not read, retrying: %s", describe(error))
                await asyncio.sleep(RETRY_SECONDS)
                self.page.changed.set()

    async def _read(self) -> Difference:
        async with self.limit.place(session_of(self.scope)) as turn:
            return await run_in_thread(turn.run, self.page.read, self.user_id)

    async def _watch_end(self) -> None:
        await self.ended.wait()
        if self.reason:
            raise self.reason

    async def _watch_session(self) -> None:
        # A task of its own: the others may be waiting for the client to read.
        await self.session.wait_for_end()
        raise SignedOut
