"""A limit for what one session does at a time: its requests, and what its sockets read.

More of them wait without a thread. Requests are refused in the end, sockets are not.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from django.conf import settings
from django.http.cookie import parse_cookie

from chatsite.client_address import client_address
from chatsite.middleware import ANY_HOST
from chatsite.problems import is_for_api

T = TypeVar("T")

AT_ONCE = 3  # of one session
# While others load pages. If more of them wait, each is followed by a pause of twice the processor time that its thread
# used: Python runs one thread at a time, of which no session takes more than a third.
AT_ONCE_BESIDE_OTHERS = 1
PAUSE = 2
OTHERS_SECONDS = 1.0  # after its last request, a session still counts as one that loads pages
WAIT_SECONDS = 10.0
MAX_WAITING = 50  # of one session: more than the tabs that a browser restores


class TooManyRequests(Exception):
    """A request has waited for too long, or too many of its session are waiting."""


class ClientLeft(Exception):
    """The client of a request has left while it was waiting."""


class RequestLimit:
    """Counts what this process is doing for each session."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        # The last two sessions that had a request, and when: of any session, this tells when another had its last one.
        self._latest, self._latest_at = "", 0.0
        self._before, self._before_at = "", 0.0

    @asynccontextmanager
    async def place(self, name: str, left: "asyncio.Future[Any] | None" = None) -> AsyncIterator["Turn"]:
        """Wait until a request of the session `name` may be served. `left` is done when its client has left.

        What serves it is called with `Turn.run`, in a thread.
        Without `left` it is a socket that reads: it goes before the requests that wait, and is never refused.
        Raises `TooManyRequests` or `ClientLeft`.
        """
        self._note(name)
        session = self._sessions.setdefault(name, _Session())
        if left and session.running + session.waiting >= AT_ONCE + MAX_WAITING:
            raise TooManyRequests
        try:
            if session.waiting or session.running >= self._allowed(name):
                await session.wait(left)
            else:
                session.running += 1
        except BaseException:  # a socket may be cancelled
            self._go_on(name, session)
            raise
        turn = Turn()
        try:
            yield turn
        finally:
            self._note(name)
            if session.waiting and self._allowed(name) < AT_ONCE:
                asyncio.get_running_loop().call_later(PAUSE * turn.seconds, self._release, name, session)
            else:
                self._release(name, session)

    def _release(self, name: str, session: "_Session") -> None:
        session.running -= 1
        self._go_on(name, session)

    def _go_on(self, name: str, session: "_Session") -> None:
        """Let waiting requests of this session go on, or forget it if it has none."""
        session.go_on(self._allowed(name))
        if not session.running and not session.waiting:
            self._sessions.pop(name, None)

    def _note(self, name: str) -> None:
        if name != self._latest:
            self._before, self._before_at = self._latest, self._latest_at
        self._latest, self._latest_at = name, time.monotonic()

    def _allowed(self, name: str) -> int:
        others_at = self._before_at if name == self._latest else self._latest_at
        return AT_ONCE_BESIDE_OTHERS if time.monotonic() - others_at < OTHERS_SECONDS else AT_ONCE


class Turn:
    """Counts the processor time (`seconds`) of what is called to serve a request. Waiting for a lock does not count."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def run(self, function: Callable[..., T], *args: Any) -> T:
        started = time.thread_time()
        try:
            return function(*args)
        finally:
            self.seconds += time.thread_time() - started


class _Session:
    def __init__(self) -> None:
        self.running = 0
        self.sockets: deque[asyncio.Future[None]] = deque()  # that wait
        self.requests: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        return len(self.sockets) + len(self.requests)

    async def wait(self, left: "asyncio.Future[Any] | None") -> None:
        """Wait for a turn, which `go_on` gives and counts as running. See `RequestLimit.place`."""
        turn = asyncio.get_running_loop().create_future()
        waiting = self.sockets if left is None else self.requests
        waiting.append(turn)
        try:
            if left is None:
                await asyncio.wait({turn})  # to await `turn` itself would cancel it with this task
            else:
                await asyncio.wait({turn, left}, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if not turn.done():
                    raise ClientLeft if left.done() else TooManyRequests
        except BaseException:  # also if it is cancelled: a turn that was given is given back
            if turn in waiting:
                waiting.remove(turn)
            else:
                self.running -= 1
            raise

    def go_on(self, allowed: int) -> None:
        while self.waiting and self.running < allowed:
            self.running += 1
            (self.sockets or self.requests).popleft().set_result(None)


def session_of(scope: dict[str, Any]) -> str:
    """Return whose request or socket this is, for `RequestLimit`; "" if it is not limited: probes and static files.

    That is the cookie of its session or, for the API, its token. Without one it is its address. An invented cookie or
    token counts as a session of its own, and gains nothing: views treat such a request as anonymous. Shared pages,
    which can be read without signing in, always count by address.
    """
    path = scope["path"]
    if path in ANY_HOST or path.startswith(settings.STATIC_URL):
        return ""
    headers = dict(scope["headers"])
    if is_for_api(path):
        # Without the word before it, which can be written in many ways.
        if secret := headers.get(b"authorization", b"").partition(b" ")[2]:
            return f"token {hashlib.sha256(secret).hexdigest()}"
    elif not path.startswith(settings.SHARED_PATH):
        given = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")  # as Django joins them
        cookies = parse_cookie(given.decode("latin-1"))
        if key := cookies.get(settings.SESSION_COOKIE_NAME):
            return f"session {key}"
    peer, forwarded = scope.get("client") or ("", 0), headers.get(b"x-forwarded-for", b"")
    return f"address {client_address(peer[0], forwarded.decode('latin-1'))}"
