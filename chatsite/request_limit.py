"""A limit for the requests of one session at a time. More of them wait without a thread, and are refused in the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from django.conf import settings
from django.http.cookie import parse_cookie

from chatsite.middleware import ANY_HOST

AT_ONCE = 3  # of one session
WAIT_SECONDS = 10.0
MAX_WAITING = 50  # of one session: more than the tabs that a browser restores


class TooManyRequests(Exception):
    """A request has waited for too long, or too many of its session are waiting."""


class ClientLeft(Exception):
    """The client of a request has left while it was waiting."""


class RequestLimit:
    """Counts the requests that this process is serving, by their session."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    @asynccontextmanager
    async def place(self, session: str, left: "asyncio.Future[Any]") -> AsyncIterator[None]:
        """Wait until a request of `session` may be served. `left` is done when its client has left.

        Raises `TooManyRequests` or `ClientLeft`.
        """
        found = self._sessions.setdefault(session, _Session())
        if found.requests >= AT_ONCE + MAX_WAITING:
            raise TooManyRequests
        found.requests += 1
        try:
            await _acquire(found.places, left)
            try:
                yield
            finally:
                found.places.release()
        finally:
            found.requests -= 1
            if not found.requests:
                del self._sessions[session]


class _Session:
    def __init__(self) -> None:
        self.requests = 0
        self.places = asyncio.Semaphore(AT_ONCE)


async def _acquire(places: asyncio.Semaphore, left: "asyncio.Future[Any]") -> None:
    if not places.locked():
        await places.acquire()
        return
    waiting = asyncio.ensure_future(places.acquire())
    try:
        await asyncio.wait({waiting, left}, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientLeft if left.done() else TooManyRequests
    finally:
        waiting.cancel()


def session_of(scope: dict[str, Any]) -> str:
    """Return whose request this is, for `RequestLimit`; "" if it is not limited: probes and static files.

    That is the cookie of its session or, before somebody has signed in, its address. An invented cookie counts as a
    session of its own. It is of no use: to every view, such a request is one by nobody.
    """
    path = scope["path"]
    if path in ANY_HOST or path.startswith(settings.STATIC_URL):
        return ""
    headers = dict(scope["headers"])
    if key := parse_cookie(headers.get(b"cookie", b"").decode("latin-1")).get(settings.SESSION_COOKIE_NAME):
        return f"session {key}"
    return f"address {_address(scope, headers.get(b'x-forwarded-for', b'').decode('latin-1'))}"


def _address(scope: dict[str, Any], forwarded: str) -> str:
    """Return the address of a request's client, as far as proxies can be trusted to name it."""
    proxies = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    named = [address.strip() for address in forwarded.split(",")]
    if proxies and len(named) >= proxies and named[-proxies]:
        return named[-proxies]
    client = scope.get("client")
    return client[0] if client else ""
