"""The socket of an open conversation: authorise, subscribe, forward. Clients send nothing through it."""

import asyncio
import logging
import time
from contextlib import ExitStack
from importlib import import_module
from urllib.parse import parse_qsl

from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError
from django.http import HttpRequest

from chatsite import metrics
from conversations.events import Topic, subscribe
from conversations.forwarding import forward_page
from conversations.generation import worker
from conversations.page_state import Difference, NotVisible, PageState
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# How long a session is assumed to be valid. Events announce its end, but may be lost.
SESSION_SECONDS = 30.0

SessionStore = import_module(settings.SESSION_ENGINE).SessionStore


class SignedOut(Exception):
    """The session of this socket has ended."""


class Draining(Exception):
    """This process is shutting down."""


# Close codes, for the page's script. Autobahn sends 1000 and 4000 to 4999 only.
CODES: dict[type[Exception], int] = {SignedOut: 4401, NotVisible: 4404, Draining: 4503}
FAILED = 4500


class ConversationConsumer(AsyncWebsocketConsumer):
    """Keeps one page up to date: sends the owner of a conversation everything that their page does not show."""

    # Events are received through `events`. A channel layer of its own could be unavailable when a socket opens.
    channel_layer_alias = "none"

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions = ExitStack()
        self.running: asyncio.Task[None] | None = None
        self.draining = asyncio.Event()
        self.user_id: int | None = None
        self.session_expires_at = 0.0

    async def connect(self) -> None:
        if worker.is_draining():
            raise DenyConnection  # the page reconnects, to another replica
        conversation_id = self.scope["url_route"]["kwargs"]["conversation_id"]
        self.page = PageState(conversation_id, dict(parse_qsl(self.scope["query_string"].decode())))
        with ExitStack() as subscriptions:
            # Before anything is read, so that no change is missed.
            subscriptions.enter_context(
                subscribe(Topic.CONVERSATION_CHANGED, self.page.conversation_changed, conversation_id)
            )
            subscriptions.enter_context(subscribe(Topic.ACCOUNT_CHANGED, self._account_changed))
            subscriptions.enter_context(subscribe(Topic.DRAINING, lambda _: self.draining.set()))
            try:
                user_id = await run_in_thread(self._authorise)
                subscriptions.enter_context(subscribe(Topic.LIST_CHANGED, self.page.list_changed, user_id))
                difference = await run_in_thread(self.page.read, user_id)
            except (SignedOut, NotVisible) as error:
                raise DenyConnection from error
            await self.accept()
            self.subscriptions = subscriptions.pop_all()
        metrics.SOCKETS.inc()
        self.subscriptions.callback(metrics.SOCKETS.dec)
        self.running = asyncio.create_task(self._run(difference))

    async def disconnect(self, code: int) -> None:
        self.subscriptions.close()
        if self.running:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    def _account_changed(self, user_id: str) -> None:
        if self.user_id is None or user_id == str(self.user_id):
            self.session_expires_at = 0.0
            self.page.changed.set()

    def _authorise(self) -> int:
        """Return the id of the user whose session this is. Raises `SignedOut`."""
        if self.user_id is not None and time.monotonic() < self.session_expires_at:
            return self.user_id
        # Before the session is read, so that an event which arrives meanwhile has an effect.
        self.session_expires_at = time.monotonic() + SESSION_SECONDS
        request = HttpRequest()
        request.session = SessionStore(self.scope["cookies"].get(settings.SESSION_COOKIE_NAME))
        user = get_user(request)
        if not user.is_authenticated or self.user_id not in (None, user.pk):
            raise SignedOut
        self.user_id = user.pk
        return user.pk

    async def _run(self, difference: Difference) -> None:
        """Forward until the socket must be closed; close it with the code that tells the page why."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch_draining())
                await forward_page(self.page, difference, self._next_difference, self.scope["outbox"], tasks)
        except* (SignedOut, NotVisible, Draining) as group:
            code = CODES[type(group.exceptions[0])]
        except* Exception:
            logger.exception("socket failed")
            code = FAILED
        await self.close(code=code)

    async def _next_difference(self) -> Difference:
        """Return what the page does not show after the next change. Raises `SignedOut` and `NotVisible`."""
        while True:
            await self.page.changed.wait()
            self.page.changed.clear()
            try:
                return await run_in_thread(lambda: self.page.read(self._authorise()))
            except DatabaseError as error:
                logger.info("conversation not read, retrying: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self.session_expires_at = 0.0  # the session may not have been checked
                self.page.changed.set()

    async def _watch_draining(self) -> None:
        await self.draining.wait()
        raise Draining
