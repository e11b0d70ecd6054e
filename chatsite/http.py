"""Django's ASGI handler, serving each request in one thread, once.

Django's own goes to and fro between the event loop and a thread made for the request, five times: for the signal at its
start, the middleware, the view, the signal at its end and the files. All of ours is synchronous, so it costs a
third of that to go once; and as many threads as there are serve however many people ask at the same moment.
"""

import asyncio
import contextvars
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections
from django.http import HttpResponseBase
from django.urls import set_script_prefix

from chatsite import metrics
from chatsite.logs import about


class OneThreadHandler(ASGIHandler):
    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(settings.REQUEST_THREADS, thread_name_prefix="request")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        response = await self._in_thread(self._respond, scope, body)
        if response.streaming and not response.is_async:
            # Django would gather all of it first.
            response.streaming_content = self._pieces(iter(response.streaming_content))
        await self.send_response(response, send)
        if response.streaming:
            await self._in_thread(response.close)

    def _respond(self, scope: dict[str, Any], body: IO[bytes]) -> HttpResponseBase:
        begun = time.monotonic()
        number = uuid.uuid4().hex
        about(request=number)
        with body:
            set_script_prefix(get_script_prefix(scope))
            signals.request_started.send(sender=self.__class__, scope=scope)
            request, refusal = self.create_request(scope, body)
            response = refusal or self.get_response(request)
            response._handler_class = self.__class__  # what it says in the signal at its end
            response.headers["X-Request-ID"] = number
            metrics.REQUESTS.labels(scope["method"], response.status_code).observe(time.monotonic() - begun)
            if not response.streaming:
                response.close()
            return response

    async def _pieces(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        while (piece := await self._in_thread(_next, pieces)) is not None:
            yield piece

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, function, *args)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    try:
        return next(pieces, None)
    finally:
        close_old_connections()
