"""Django's ASGI handler for synchronous code: one request is served in one thread, without switching.

Django's own handler switches five times between the event loop and a thread that it starts for the request: for the
signal at the start, the middleware, the view, the signal at the end and files. Staying in one thread takes a third of
that CPU time, and the number of threads does not grow with the number of requests.
"""

import asyncio
import contextvars
import io
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, TypeVar, cast

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections
from django.http import HttpResponseBase
from django.urls import set_script_prefix

from chatsite import metrics, tracing
from chatsite.logs import bind_log_context
from chatsite.middleware import ANY_HOST
from chatsite.plain_page import HEADERS, PROBLEM_HEADERS, plain_page
from chatsite.problems import is_for_api, problem_body
from chatsite.request_limit import AT_ONCE, ClientLeft, RequestLimit, TooManyRequests, session_of

T = TypeVar("T")

# Any other is counted as "OTHER": clients may send what they like, and each label value stays in memory.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
RETRY_AFTER_SECONDS = 5
READINESS_THREADS = 4  # for a probe a second, of two seconds at most, and those of others
BUSY = plain_page(
    "Too many requests at once",
    f"The site loads {AT_ONCE} of your pages at a time, and this one has waited for too long. Wait a few seconds and"
    " load it again. If you were sending something, go back: what you typed is still there.",
)

TOO_MANY = f"The site serves {AT_ONCE} requests of a token at a time, and this one has waited for too long. Try again."


class OneThreadHandler(ASGIHandler):
    """Serves requests in `REQUEST_THREADS` threads, a few of each session at a time: see `request_limit`.

    Forms with files have threads and a limit of their own: files are read in other processes, which takes long, and
    neither pages of others nor of the same person wait for that.

    Probes have threads of their own. A process whose threads all wait for the database is alive, and would lose the
    text that waits too if it were restarted; and /readyz says what it waits for.

    A view that has begun is finished even if its client has left, because a thread cannot be interrupted. A streaming
    response then ends after its current chunk, and one that is asynchronous at once. Responses are always closed.
    """

    def __init__(self, limit: RequestLimit) -> None:
        super().__init__()
        self._limit = limit
        self._threads = ThreadPoolExecutor(settings.REQUEST_THREADS, thread_name_prefix="request")
        self._upload_limit = RequestLimit()
        self._upload_threads = ThreadPoolExecutor(settings.UPLOAD_THREADS, thread_name_prefix="upload")
        # Not the same for both, because /readyz may wait for a database that hangs.
        self._probe_threads = {
            "/healthz": ThreadPoolExecutor(1, thread_name_prefix="healthz"),
            "/readyz": ThreadPoolExecutor(READINESS_THREADS, thread_name_prefix="readyz"),
        }

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        # Daphne cancels an application ten seconds after its client has left, but its response has to be closed.
        await asyncio.shield(self._serve(scope, receive, send))

    async def _serve(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        release = scope.pop("release", None)
        try:
            await self._receive_and_respond(scope, receive, send)
        finally:
            if release:  # the body, and the copies that Django made of its files, are gone
                release()

    async def _receive_and_respond(
        self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            scope.get("body", io.BytesIO()).close()
            return
        body = scope.pop("body", body)  # the server's file, if it has passed one
        started = time.monotonic()
        left = asyncio.ensure_future(receive())  # the only message after the body: the client has left
        limit, threads = self._limit, self._probe_threads.get(scope["path"], self._threads)
        if _has_files(scope):
            limit, threads = self._upload_limit, self._upload_threads
        try:
            if session := session_of(scope):
                async with limit.place(session, left) as turn:
                    response = await self._in_thread(turn.run, self._respond, scope, body, threads=threads)
            else:
                response = await self._in_thread(self._respond, scope, body, threads=threads)
            await self._send(response, left, send)
        except ClientLeft:
            body.close()
        except TooManyRequests:
            body.close()
            await self._refuse(scope, started, send)
        finally:
            left.cancel()

    async def _send(self, response: Any, left: "asyncio.Future[Any]", send: Callable[..., Any]) -> None:
        if not response.streaming:  # it is closed already
            await self.send_response(response, send)
            return
        try:
            if not response.is_async:
                # Django would collect all chunks before it sends the first.
                response.streaming_content = self._chunks(iter(response.streaming_content), left)
                await self.send_response(response, send)
            else:
                await _until_done(left, self.send_response(response, send))
        finally:
            await self._in_thread(response.close)

    async def _refuse(self, scope: dict[str, Any], started: float, send: Callable[..., Any]) -> None:
        metrics.REQUESTS.labels(_method(scope), 429).observe(time.monotonic() - started)
        headers, body = HEADERS, BUSY
        if is_for_api(scope["path"]):
            headers, body = PROBLEM_HEADERS, problem_body(429, TOO_MANY)
        headers = [*headers, (b"retry-after", str(RETRY_AFTER_SECONDS).encode())]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _respond(self, scope: dict[str, Any], body: IO[bytes]) -> Any:
        """Return the response to a request; a complete one is closed, a streaming one is open."""
        started = time.monotonic()
        request_id = uuid.uuid4().hex
        bind_log_context(request=request_id)
        span = tracing.begin_request(scope, request_id)
        with body:
            set_script_prefix(get_script_prefix(scope))
            signals.request_started.send(sender=self.__class__, scope=scope)
            request, error_response = self.create_request(scope, body)
            response = cast(HttpResponseBase, self.get_response(request) if request else error_response)
            try:
                response.headers["X-Request-ID"] = request_id
                # On small sites there are more probes than requests: what people meet would not show.
                if scope["path"] not in ANY_HOST:
                    metrics.REQUESTS.labels(_method(scope), response.status_code).observe(time.monotonic() - started)
                    if span:
                        tracing.end_request(span, _method(scope), request, response.status_code)
            finally:
                if not response.streaming:
                    response.close()
            return response

    async def _chunks(self, chunks: Iterator[bytes], left: "asyncio.Future[Any]") -> AsyncIterator[bytes]:
        while not left.done() and (chunk := await self._in_thread(_next, chunks)) is not None:
            yield chunk

    async def _in_thread(self, function: Callable[..., T], *args: Any, threads: ThreadPoolExecutor | None = None) -> T:
        run = contextvars.copy_context().run
        return await asyncio.get_running_loop().run_in_executor(threads or self._threads, run, function, *args)


async def _until_done(left: "asyncio.Future[Any]", coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, or cancel it when `left` is done."""
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()  # nothing if it is done
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _has_files(scope: dict[str, Any]) -> bool:
    # As Django reads it: the first header decides, in lower or upper case.
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return bool(content_type.lower().startswith(b"multipart/form-data"))


def _method(scope: dict[str, Any]) -> str:
    return scope["method"] if scope["method"] in METHODS else "OTHER"


def _next(chunks: Iterator[bytes]) -> bytes | None:
    try:
        return next(chunks, None)
    finally:
        close_old_connections()
