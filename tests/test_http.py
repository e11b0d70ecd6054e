"""The ASGI handler: log context, methods in metrics, and what becomes of responses whose client leaves."""

import asyncio
import contextvars
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.test import Client as DjangoClient
from django.urls import path

from chatsite import metrics
from chatsite.http import OneThreadHandler
from chatsite.logs import JsonFormatter, pseudonym
from tests.factories import person

WAIT = 10  # seconds

closed, begun, go_on = threading.Event(), threading.Event(), threading.Event()


class Chunks:
    """An iterator of chunks that never end, and notes that it was closed."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return b"chunk"

    def close(self) -> None:
        closed.set()


def endless(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(Chunks())


def slow(request: HttpRequest) -> HttpResponseBase:
    begun.set()
    assert go_on.wait(WAIT)
    return StreamingHttpResponse(Chunks())


def complete(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse(request.read())


def log_context(request: HttpRequest) -> HttpResponseBase:
    """Respond with a log line from before the user is loaded and one from after."""
    lines = [JsonFormatter().format(logging.makeLogRecord({}))]
    assert request.user
    lines.append(JsonFormatter().format(logging.makeLogRecord({})))
    return JsonResponse([json.loads(line) for line in lines], safe=False)


def with_status(request: HttpRequest, status: int) -> HttpResponseBase:
    return HttpResponse(status=status)


urlpatterns = [
    path("status/<int:status>", with_status),
    path("endless", endless),
    path("slow", slow),
    path("complete", complete),
    path("log-context", log_context),
]


class Client:
    """The ASGI server's side of one request."""

    def __init__(self, path: str, method: str = "GET", body: bytes = b"") -> None:
        self.scope = {"type": "http", "path": f"/{path}", "method": method, "headers": [], "query_string": b""}
        self.sent: list[dict[str, Any]] = []
        self.chunk = asyncio.Event()
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._received.put_nowait({"type": "http.request", "body": body})

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if message.get("body"):
            self.chunk.set()

    def leave(self) -> None:
        self._received.put_nowait({"type": "http.disconnect"})

    def request(self, handler: OneThreadHandler) -> asyncio.Task[None]:
        return asyncio.create_task(handler(self.scope, self._received.get, self.send))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


@pytest.fixture
def handler(settings) -> OneThreadHandler:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    for event in (closed, begun, go_on):
        event.clear()
    return OneThreadHandler()


async def test_a_request_gets_its_response_and_an_id(handler: OneThreadHandler):
    client = Client("complete", "POST", b"Hello")
    await client.request(handler)
    assert (client.sent[0]["status"], client.body) == (200, b"Hello")
    assert len(dict(client.sent[0]["headers"])[b"X-Request-ID"]) == 32


@pytest.mark.django_db
def test_log_lines_have_the_user_once_a_view_has_loaded_them(
    client: DjangoClient, settings, monkeypatch: pytest.MonkeyPatch
):
    settings.ROOT_URLCONF = __name__
    # Other tests of this process have left a user in the context.
    monkeypatch.setattr("chatsite.logs._log_context", contextvars.ContextVar("log_context", default={}))  # noqa: B039
    ada = person()
    [before, after] = contextvars.copy_context().run(client.get, "/log-context").json()  # signed out
    assert "user" not in before | after
    client.force_login(ada)
    [before, after] = contextvars.copy_context().run(client.get, "/log-context").json()
    assert ("user" in before, after["user"]) == (False, pseudonym(ada.pk))


async def test_a_streaming_response_ends_and_is_closed_when_its_client_leaves(handler: OneThreadHandler):
    client = Client("endless")
    request = client.request(handler)
    await client.chunk.wait()
    client.leave()
    async with asyncio.timeout(WAIT):
        await request
    assert closed.is_set()


async def test_a_streaming_response_is_closed_when_it_cannot_be_sent(handler: OneThreadHandler):
    client = Client("endless")

    async def fail(message: dict[str, Any]) -> None:
        raise ConnectionError

    client.send = fail
    with pytest.raises(ConnectionError):
        await client.request(handler)
    assert closed.is_set()


async def test_a_streaming_response_is_closed_when_the_server_cancels_its_request(handler: OneThreadHandler):
    client = Client("slow")
    request = client.request(handler)
    assert await asyncio.to_thread(begun.wait, WAIT)
    client.leave()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    go_on.set()
    assert await asyncio.to_thread(closed.wait, WAIT)


async def test_methods_that_clients_invent_are_counted_as_one(handler: OneThreadHandler):
    for number in range(20):
        await Client("complete", f"INVENTED{number}").request(handler)
    await Client("complete", "DELETE").request(handler)
    exposition = metrics.exposition().decode()
    assert "INVENTED" not in exposition
    assert 'chat_request_seconds_count{method="OTHER",status="200"} 20.0' in exposition
    assert 'chat_request_seconds_count{method="DELETE",status="200"} 1.0' in exposition


def test_an_answer_that_the_site_is_not_ready_is_not_logged_as_an_error(
    client: DjangoClient, settings, caplog: pytest.LogCaptureFixture
):
    settings.ROOT_URLCONF = __name__
    client.get("/status/503")
    assert caplog.records == []
    client.get("/status/500")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
