"""The sessions of open sockets: whose they are, and when they have ended.

An event announces the end of a session at once. But events may be lost, and a shell, a command or SQL publishes none.
So the sessions of all open sockets are also compared with the database once a second, in two queries.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import Error
from django.http import HttpRequest
from django.utils import timezone

from chatsite.outages import describe, is_outage
from conversations.events import Topic, subscribe
from conversations.models import User
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
RETRY_SECONDS = 1.0
# Marks a session, in its data, that can be used only to set up a second factor.
FACTOR_REQUIRED = "factor_required"


class SignedOut(Exception):
    """The session has ended, or its user may no longer sign in."""


class StoredSession(SessionStore):
    """A session that `get_user` cannot replace, as it does after a change of SECRET_KEY: a socket sends no cookies."""

    key_salt = SessionStore().key_salt  # which Django derives from the class's name

    def cycle_key(self) -> None:
        pass

    def flush(self) -> None:
        pass


class SocketSession:
    """The session of one socket. `key` is that of its cookie; `user_id` is None before `authorise`."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.user_id: int | None = None
        self.password = ""  # the stored hash: a new password ends sessions
        self._changed = asyncio.Event()

    def authorise(self) -> int:
        """Return the id of the user whose session this is. Blocking. Raises `SignedOut`."""
        request = HttpRequest()
        request.session = StoredSession(self.key)
        user = get_user(request)
        if not user.is_authenticated or self.user_id not in (None, user.pk) or request.session.get(FACTOR_REQUIRED):
            raise SignedOut
        self.user_id, self.password = user.pk, user.password
        return user.pk

    def check(self) -> None:
        """Read the session again, because it may have ended."""
        self._changed.set()

    def account_changed(self, user_id: str) -> None:
        if self.user_id is None or user_id == str(self.user_id):
            self.check()

    async def wait_for_end(self) -> None:
        """Return when the session has ended."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await run_in_thread(self.authorise)
            except SignedOut:
                return
            except Error as error:
                if not is_outage(error):
                    raise
                logger.info("session not read, retrying: %s", describe(error))
                await asyncio.sleep(RETRY_SECONDS)
                self.check()


class SessionMonitor:
    """Has those sessions checked whose row, or whose user, is no longer as it was."""

    def __init__(self) -> None:
        self._sessions: set[SocketSession] = set()

    @contextmanager
    def watch(self, session: SocketSession) -> Iterator[None]:
        self._sessions.add(session)
        try:
            with subscribe(Topic.ACCOUNT_CHANGED, session.account_changed):
                yield
        finally:
            self._sessions.discard(session)

    async def run(self) -> None:
        """Compare all sessions with the database once a second, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            users = {session: session.user_id for session in self._sessions if session.user_id is not None}
            if not users:
                continue
            try:
                keys, passwords = await run_in_thread(_read, {session.key for session in users}, set(users.values()))
            except Error as error:
                if not is_outage(error):
                    raise
                logger.info("sessions not compared, retrying: %s", describe(error))
                continue
            for session, user_id in users.items():
                if session.key not in keys or passwords.get(user_id) != session.password:
                    session.check()


def _read(keys: set[str | None], users: set[int]) -> tuple[set[str], dict[int, str]]:
    """Return the keys of sessions that have not ended, and the password hashes of active users by id."""
    sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    active = User.objects.filter(pk__in=users, is_active=True)
    return set(sessions.values_list("session_key", flat=True)), dict(active.values_list("pk", "password"))


monitor = SessionMonitor()
