"""The ASGI handler: log context, methods in metrics, and what becomes of responses whose client leaves."""

import asyncio
import contextvars
import json
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.test import Client as DjangoClient
from django.urls import path, reverse

from chatsite import metrics, request_limit
from chatsite.http import OneThreadHandler
from chatsite.logs import JsonFormatter, pseudonym
from chatsite.request_limit import RequestLimit, session_of
from tests.factories import person

WAIT = 10  # seconds

closed, begun, go_on, cancelled = threading.Event(), threading.Event(), threading.Event(), threading.Event()
views: queue.SimpleQueue[str] = queue.SimpleQueue()  # paths of the requests to `counted` that have begun


class Chunks:
    """An iterator of chunks that never end, and notes that it was closed."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return b"chunk"

    def close(self) -> None:
        closed.set()


async def endless_events() -> AsyncIterator[bytes]:
    try:
        yield b"first"
        await asyncio.Event().wait()
    finally:
        cancelled.set()


class Events:
    """An asynchronous iterator that waits after its first chunk, and notes that it was closed."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return endless_events()

    def close(self) -> None:
        closed.set()


def events(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(Events())


def endless(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(Chunks())


def slow(request: HttpRequest) -> HttpResponseBase:
    begun.set()
    assert go_on.wait(WAIT)
    return StreamingHttpResponse(Chunks())


def counted(request: HttpRequest) -> HttpResponseBase:
    """Respond when the test goes on, and note that a request has begun."""
    views.put(request.path)
    assert go_on.wait(WAIT)
    return HttpResponse("counted")


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
    path("events", events),
    path("slow", slow),
    path("complete", complete),
    path("counted/<int:number>", lambda request, number: counted(request)),
    path("healthz", complete),
    path("readyz", complete),
    path("static/a.css", complete),
    path("log-context", log_context),
]


class Client:
    """The ASGI server's side of one request."""

    def __init__(
        self, path: str, method: str = "GET", body: bytes = b"", session: str = "", content_type: str = ""
    ) -> None:
        headers = [(b"cookie", f"a=b; sessionid={session}".encode())] if session else []
        headers += [(b"content-type", content_type.encode())] if content_type else []
        self.scope = {"type": "http", "path": f"/{path}", "method": method, "headers": headers, "query_string": b""}
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
    for event in (closed, begun, go_on, cancelled):
        event.clear()
    while not views.empty():
        views.get()
    return OneThreadHandler(RequestLimit())


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


async def test_an_asynchronous_response_is_cancelled_and_closed_when_its_client_leaves(handler: OneThreadHandler):
    client = Client("events")
    request = client.request(handler)
    await client.chunk.wait()
    assert client.body == b"first"
    assert not cancelled.is_set()
    client.leave()
    async with asyncio.timeout(WAIT):
        await request
    assert cancelled.is_set()
    assert closed.is_set()


async def test_an_asynchronous_response_ends_with_its_request(handler: OneThreadHandler):
    client = Client("events")
    before = asyncio.all_tasks()
    request = client.request(handler)
    await client.chunk.wait()
    for task in asyncio.all_tasks() - before - {request}:  # as when the event loop ends
        if task.get_coro().__name__ == "_serve":
            task.cancel()
    async with asyncio.timeout(WAIT):
        with pytest.raises(asyncio.CancelledError):
            await request
        assert await asyncio.to_thread(cancelled.wait, WAIT)


async def test_a_refused_request_of_the_api_is_told_so_in_json(
    handler: OneThreadHandler, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(request_limit, "MAX_WAITING", -request_limit.AT_ONCE)
    client = Client("api/v1/")
    client.scope["headers"] = [(b"authorization", b"Bearer ponder_x")]
    await client.request(handler)
    start, body = client.sent
    headers = dict(start["headers"])
    assert start["status"] == 429
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"retry-after"] == b"5"
    assert json.loads(body["body"])["code"] == "too_many_requests"


async def test_a_streaming_response_is_closed_when_it_cannot_be_sent(handler: OneThreadHandler):
    client = Client("endless")

    async def fail(message: dict[str, Any]) -> None:
        raise ConnectionError

    client.send = fail
    with pytest.raises(ConnectionError):
        await client.request(handler)
    assert closed.is_set()


async def test_a_streaming_response_is_closed_when_the_server_cancels_its_request(handler: OneThreadHandler):
    client, released = Client("slow"), threading.Event()
    client.scope["release"] = released.set  # the room of its body
    request = client.request(handler)
    assert await asyncio.to_thread(begun.wait, WAIT)
    client.leave()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert not released.is_set()
    go_on.set()
    assert await asyncio.to_thread(closed.wait, WAIT)
    assert await asyncio.to_thread(released.wait, WAIT)


def start(handler: OneThreadHandler, number: int, session: str = "mine") -> list[tuple[Client, "asyncio.Task[None]"]]:
    """Send requests of one session whose views wait until `go_on` is set."""
    clients = [Client(f"counted/{n}", session=session) for n in range(number)]
    return [(client, client.request(handler)) for client in clients]


async def begun_views(number: int) -> list[str]:
    return [await asyncio.to_thread(views.get, timeout=WAIT) for _ in range(number)]


async def test_more_requests_of_a_session_wait_without_a_thread(handler: OneThreadHandler):
    requests = start(handler, request_limit.AT_ONCE + 20)
    assert len(await begun_views(request_limit.AT_ONCE)) == 3
    other = Client("complete", "POST", b"Hello", session="another")
    await other.request(handler)  # there are fewer threads than waiting requests
    assert other.body == b"Hello"
    for unlimited in ("healthz", "static/a.css"):
        excluded = Client(unlimited, session="mine")
        await excluded.request(handler)
        assert excluded.sent[0]["status"] == 200
    assert views.empty()
    go_on.set()
    await asyncio.gather(*(request for _, request in requests))
    assert {client.sent[0]["status"] for client, _ in requests} == {200}


@pytest.mark.parametrize("form", ["multipart/form-data; boundary=x", "Multipart/Form-Data; boundary=x"])
async def test_uploads_take_no_thread_and_no_place_of_other_requests(handler: OneThreadHandler, settings, form: str):
    uploads = [
        Client(f"counted/{number}", "POST", session=f"session {number}", content_type=form).request(handler)
        for number in range(settings.REQUEST_THREADS)
    ]
    await begun_views(settings.UPLOAD_THREADS)
    for session in ("session 0", "another"):
        page = Client("complete", session=session)
        await page.request(handler)
        assert page.sent[0]["status"] == 200
    go_on.set()
    await asyncio.gather(*uploads)


@pytest.mark.parametrize("probe", ["healthz", "readyz"])
async def test_probes_get_a_response_while_all_threads_wait(handler: OneThreadHandler, settings, probe: str):
    requests = [
        Client(f"counted/{number}", session=f"session {number}").request(handler)
        for number in range(settings.REQUEST_THREADS)
    ]
    await begun_views(settings.REQUEST_THREADS)
    client = Client(probe)
    async with asyncio.timeout(WAIT / 2):
        await client.request(handler)
    assert client.sent[0]["status"] == 200
    assert views.empty()
    go_on.set()
    await asyncio.gather(*requests)


async def test_a_session_gets_one_thread_while_others_load_pages(
    handler: OneThreadHandler, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(request_limit, "OTHERS_SECONDS", 1_000.0)
    await Client("complete", session="another").request(handler)
    requests = start(handler, 3)
    await begun_views(1)
    await Client("complete", session="another").request(handler)
    assert views.empty()
    monkeypatch.setattr(request_limit, "OTHERS_SECONDS", 0.0)
    more = Client("counted/4", session="mine").request(handler)
    go_on.set()
    await asyncio.gather(more, *(request for _, request in requests))
    assert {client.sent[0]["status"] for client, _ in requests} == {200}


async def test_a_request_that_waits_for_too_long_is_told_when_to_try_again(
    handler: OneThreadHandler, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(request_limit, "WAIT_SECONDS", 0.01)
    requests = start(handler, request_limit.AT_ONCE)
    await begun_views(request_limit.AT_ONCE)
    refused = Client("complete", session="mine")
    await refused.request(handler)
    headers = dict(refused.sent[0]["headers"])
    assert (refused.sent[0]["status"], headers[b"retry-after"]) == (429, b"5")
    assert b"Wait a few seconds" in refused.body
    assert headers[b"content-security-policy"] == b"default-src 'none'"
    go_on.set()
    await asyncio.gather(*(request for _, request in requests))
    served = Client("complete", session="mine")
    await served.request(handler)
    assert served.sent[0]["status"] == 200


async def test_only_so_many_requests_of_a_session_wait(handler: OneThreadHandler, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(request_limit, "MAX_WAITING", 2)
    requests = start(handler, request_limit.AT_ONCE + 2)
    await begun_views(request_limit.AT_ONCE)
    refused = Client("complete", session="mine")
    await refused.request(handler)
    assert refused.sent[0]["status"] == 429
    go_on.set()
    await asyncio.gather(*(request for _, request in requests))
    assert {client.sent[0]["status"] for client, _ in requests} == {200}


async def test_a_request_whose_client_leaves_while_it_waits_is_not_served(handler: OneThreadHandler):
    requests = start(handler, request_limit.AT_ONCE + 1)
    await begun_views(request_limit.AT_ONCE)
    client, request = requests[-1]
    client.leave()
    await request
    go_on.set()
    await asyncio.gather(*(request for _, request in requests))
    assert client.sent == []
    assert views.empty()


@pytest.mark.parametrize(
    ("proxies", "headers", "expected"),
    [
        (0, {"cookie": "x=1; sessionid=abc"}, "session abc"),
        (0, {"cookie": "sessionid="}, "address 192.0.2.1"),
        (0, {"cookie": "sessionid=abc", "Cookie": "x=1"}, "session abc"),
        (0, {"x-forwarded-for": "198.51.100.1"}, "address 192.0.2.1"),
        (1, {"x-forwarded-for": "203.0.113.9, 198.51.100.1"}, "address 198.51.100.1"),
        (2, {"x-forwarded-for": "203.0.113.9, 198.51.100.1"}, "address 203.0.113.9"),
        (2, {"x-forwarded-for": "198.51.100.1"}, "address 192.0.2.1"),
    ],
)
def test_requests_are_counted_by_session_or_address(settings, proxies: int, headers: dict[str, str], expected: str):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    assert session_of({"path": "/", "headers": raw, "client": ["192.0.2.1", 1]}) == expected


def test_requests_for_shared_pages_are_counted_by_address():
    address = reverse("shared", args=["token"])
    scope = {"path": address, "headers": [(b"cookie", b"sessionid=invented")], "client": ["192.0.2.1", 1]}
    assert session_of(scope) == "address 192.0.2.1"


async def test_methods_that_clients_invent_are_counted_as_one(handler: OneThreadHandler):
    for number in range(20):
        await Client("complete", f"INVENTED{number}").request(handler)
    await Client("complete", "DELETE").request(handler)
    exposition = metrics.exposition().decode()
    assert "INVENTED" not in exposition
    assert 'chat_request_seconds_count{method="OTHER",status="200"} 20.0' in exposition
    assert 'chat_request_seconds_count{method="DELETE",status="200"} 1.0' in exposition


async def test_probes_are_not_counted_as_requests(handler: OneThreadHandler):
    def counted_requests() -> float:
        return metrics.registry.get_sample_value("chat_request_seconds_count", {"method": "GET", "status": "200"}) or 0

    before = counted_requests()
    await Client("healthz").request(handler)
    assert counted_requests() == before
    await Client("complete").request(handler)
    assert counted_requests() == before + 1


def test_an_answer_that_the_site_is_not_ready_is_not_logged_as_an_error(
    client: DjangoClient, settings, caplog: pytest.LogCaptureFixture
):
    settings.ROOT_URLCONF = __name__
    client.get("/status/503")
    assert caplog.records == []
    client.get("/status/500")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_session_with_more_requests_waiting_pauses_while_others_load_pages(monkeypatch: pytest.MonkeyPatch):
    now, used, begun_requests, pauses = [0.0], [0.0], [], []
    clocks = SimpleNamespace(monotonic=lambda: now[0], thread_time=lambda: used[0])
    monkeypatch.setattr(request_limit, "time", clocks)
    monkeypatch.setattr(request_limit, "OTHERS_SECONDS", 1_000.0)
    loop = asyncio.get_running_loop()
    limit, stays, call_later = RequestLimit(), loop.create_future(), loop.call_later

    def record(seconds: float, callback: Callable[..., Any], *args: Any) -> Any:
        if getattr(callback, "__self__", None) is limit:
            return pauses.append((seconds, callback, args))
        return call_later(seconds, callback, *args)

    monkeypatch.setattr(loop, "call_later", record)

    async def request(session: str, seconds: float) -> None:
        def work() -> None:
            used[0] += seconds
            now[0] += seconds + 30  # it waits for a lock

        async with limit.place(session, stays) as turn:
            begun_requests.append(session)
            await asyncio.sleep(0)  # so that the others come while it is served
            turn.run(work)

    await request("another", 0)
    waiting = [asyncio.create_task(request("mine", 0.5)) for _ in range(2)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)
    assert (begun_requests, [seconds for seconds, *_ in pauses]) == (["another", "mine"], [1.0])
    [(_, release, args)] = pauses
    release(*args)
    await asyncio.gather(*waiting)
    assert len(pauses) == 1  # no request is waiting when the second ends


async def test_a_socket_reads_before_the_requests_that_wait_and_is_never_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(request_limit, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(request_limit, "MAX_WAITING", 1)
    limit, stays = RequestLimit(), asyncio.get_running_loop().create_future()
    served: list[str] = []

    async def wait(name: str, left: "asyncio.Future[None] | None" = None) -> None:
        async with limit.place("mine", left):
            served.append(name)

    async with AsyncExitStack() as running:
        for _ in range(request_limit.AT_ONCE):
            await running.enter_async_context(limit.place("mine", stays))
        refused = asyncio.create_task(wait("request", stays))
        sockets = [asyncio.create_task(wait("socket")) for _ in range(3)]
        with pytest.raises(request_limit.TooManyRequests):
            await refused
        monkeypatch.setattr(request_limit, "WAIT_SECONDS", 10.0)
        monkeypatch.setattr(request_limit, "MAX_WAITING", 10)
        request = asyncio.create_task(wait("request", stays))
        await asyncio.sleep(0)  # so that it waits
        sockets.append(asyncio.create_task(wait("last socket")))
        await asyncio.sleep(0)
    await asyncio.gather(request, *sockets)
    assert served == ["socket", "socket", "socket", "last socket", "request"]


@pytest.mark.parametrize("has_turn", [False, True])
async def test_a_socket_that_ends_while_it_waits_takes_no_place(has_turn: bool):
    limit = RequestLimit()

    async def wait() -> None:
        async with limit.place("mine"):
            pass

    async with AsyncExitStack() as running:
        for _ in range(request_limit.AT_ONCE):
            await running.enter_async_context(limit.place("mine"))
        ended = asyncio.create_task(wait())
        await asyncio.sleep(0)  # so that it waits
        if not has_turn:
            ended.cancel()
    ended.cancel()
    await asyncio.gather(ended, return_exceptions=True)
    assert ended.cancelled()
    async with AsyncExitStack() as running, asyncio.timeout(WAIT):
        for _ in range(request_limit.AT_ONCE):
            await running.enter_async_context(limit.place("mine"))
