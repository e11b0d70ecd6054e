"""The sessions of open sockets and the tokens of open streams: whose they are, and when they have ended.

An event announces the end of a session at once. But events may be lost, and a shell, a command or SQL publishes none.
So the sessions of all open sockets are also compared with the database once a second, in two queries, and the tokens of
streams in another one.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import Error
from django.http import HttpRequest
from django.utils import timezone

from chatsite.outages import describe, is_outage
from conversations.events import Topic, subscribe
from conversations.models import ApiToken, User
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


class Valid(NamedTuple):
    """What the database has of those sessions, users and tokens that are looked for."""

    keys: set[str]  # of sessions that have not ended
    passwords: dict[int, str]  # the hashes of active users, by id
    tokens: set[int]  # ids of those that may be used


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

    def is_among(self, valid: Valid) -> bool:
        return self.key in valid.keys and valid.passwords.get(self.user_id or 0) == self.password

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


class TokenUse(SocketSession):
    """The use of an API token by one stream."""

    def __init__(self, token: ApiToken) -> None:
        super().__init__(key=None)
        self.user_id = self.owner_id = token.owner_id
        self.token_id = token.pk

    def authorise(self) -> int:
        if not ApiToken.objects.usable().filter(pk=self.token_id).exists():
            raise SignedOut
        return self.owner_id

    def is_among(self, valid: Valid) -> bool:
        return self.token_id in valid.tokens


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
            sessions = [session for session in self._sessions if session.user_id is not None]
            if not sessions:
                continue
            try:
                valid = await run_in_thread(_read, sessions)
            except Error as error:
                if not is_outage(error):
                    raise
                logger.info("sessions not compared, retrying: %s", describe(error))
                continue
            for session in sessions:
                if not session.is_among(valid):
                    session.check()


def _read(watched: list[SocketSession]) -> Valid:
    tokens = {each.token_id for each in watched if isinstance(each, TokenUse)}
    of_sockets = [each for each in watched if not isinstance(each, TokenUse)]
    valid = Valid(set(), {}, set())
    if tokens:
        valid.tokens.update(ApiToken.objects.usable().filter(pk__in=tokens).values_list("pk", flat=True))
    if of_sockets:
        keys = {each.key for each in of_sockets}
        sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
        valid.keys.update(sessions.values_list("session_key", flat=True))
        active = User.objects.filter(pk__in={each.user_id for each in of_sockets}, is_active=True)
        valid.passwords.update(active.values_list("pk", "password"))
    return valid


monitor = SessionMonitor()
