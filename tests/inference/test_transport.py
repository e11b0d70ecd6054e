"""The transport against a real HTTP server, without the SDK."""

import asyncio
import contextlib
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
import uvloop

from conversations.inference import transport
from conversations.inference.transport import AiohttpTransport
from tests.endpoint import WAIT, Exchange
from tests.endpoint import Endpoint as Server


def connect() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=AiohttpTransport(), timeout=None)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with connect() as client:
        yield client


def ask(client: httpx2.AsyncClient, server: Server) -> contextlib.AbstractAsyncContextManager[httpx2.Response]:
    return client.stream("POST", server.base_url, json={"question": "Why?"})


async def one_two(exchange: Exchange) -> None:
    await exchange.raw(b"one")
    await exchange.gate("paused")
    await exchange.raw(b"two")
    await exchange.raw(b"three")


async def test_a_request_arrives_as_it_was_made(client: httpx2.AsyncClient, endpoint: Server):
    async with client.stream(
        "POST", f"{endpoint.base_url}/a%20b?c=d", json={"e": "f"}, headers={"Authorization": "Bearer g"}
    ) as response:
        await response.aread()
    [exchange] = endpoint.exchanges
    assert (exchange.path, exchange.query, exchange.body) == ("/v1/a b", {"c": "d"}, {"e": "f"})
    assert exchange.headers["Authorization"] == "Bearer g"
    assert exchange.headers["Content-Type"] == "application/json"


async def test_a_response_has_status_headers_and_body(client: httpx2.AsyncClient, endpoint: Server):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(429, "rate_limit", headers={"Retry-After": "7"})

    endpoint.respond = refuse
    async with ask(client, endpoint) as response:
        assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
        await response.aread()
        assert response.json()["error"]["code"] == "rate_limit"


async def test_what_arrives_during_a_pause_is_read_in_one_piece(
    client: httpx2.AsyncClient, endpoint: Server, monkeypatch: pytest.MonkeyPatch
):
    timers: list[Callable[[], None]] = []
    endpoint.respond = one_two
    async with ask(client, endpoint) as response:
        reader = response.extensions["reader"]
        assert await anext(reader) == b"one"
        with monkeypatch.context() as patch:
            loop = asyncio.get_running_loop()
            patch.setattr(loop, "call_later", lambda _seconds, resume: timers.append(resume))
            reader.pause(0.05)
        reading = asyncio.create_task(anext(reader))
        endpoint.open("paused")
        assert await asyncio.to_thread(endpoint.exchanges[0].over.wait, WAIT)
        await client.post(endpoint.base_url, json={})  # by now the event loop has looked at every connection
        assert not reading.done()
        [resume] = timers
        resume()
        assert await reading == b"twothree"
        with pytest.raises(StopAsyncIteration):
            await anext(reader)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_what_arrived_before_a_cut_is_read_although_reading_was_paused(endpoint: Server, run: Callable[..., None]):
    async def cut(exchange: Exchange) -> None:
        await one_two(exchange)
        exchange.cut()

    async def read(received: list[bytes]) -> None:
        async with connect() as client, ask(client, endpoint) as response:
            reader = response.extensions["reader"]
            async for data in reader:
                received.append(data)
                reader.pause(0.2)  # by then the connection is cut
                endpoint.open("paused")

    endpoint.respond = cut
    received: list[bytes] = []
    with pytest.raises(httpx2.ReadError):
        run(read(received))
    assert b"".join(received) == b"onetwothree"


async def test_data_that_arrives_with_the_headers_is_read_before_the_cut(client: httpx2.AsyncClient, endpoint: Server):
    async def cut(exchange: Exchange) -> None:
        await exchange.raw(b"one")
        exchange.cut()

    endpoint.respond = cut
    async with ask(client, endpoint) as response:
        reader = response.extensions["reader"]
        assert await anext(reader) == b"one"
        with pytest.raises(httpx2.ReadError):
            await anext(reader)


async def test_a_compressed_body_is_left_to_httpx2(client: httpx2.AsyncClient, endpoint: Server):
    async def compress(exchange: Exchange) -> None:
        await exchange.start(headers={"Content-Encoding": "gzip"})
        await exchange.raw(gzip.compress(b"one"))

    endpoint.respond = compress
    async with ask(client, endpoint) as response:
        assert [data async for data in response.aiter_bytes()] == [b"one"]
    async with ask(client, endpoint) as response:
        assert gzip.decompress(b"".join([data async for data in response.extensions["reader"]])) == b"one"


async def test_a_refused_connection_is_not_a_timeout(client: httpx2.AsyncClient, endpoint: Server):
    endpoint.close()
    with pytest.raises(httpx2.ConnectError):
        async with ask(client, endpoint):
            pass


async def test_a_connection_that_is_never_accepted_is_a_timeout(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.1)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(2):  # as many as wait for a listener that accepts nobody
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        async with connect() as client:
            with pytest.raises(httpx2.ConnectTimeout):
                await client.get(f"http://127.0.0.1:{address[1]}")


async def test_a_response_that_is_not_http_is_a_protocol_error(client: httpx2.AsyncClient, endpoint: Server):
    async def garble(exchange: Exchange) -> None:
        await exchange.garbage()
        exchange.cut()

    endpoint.respond = garble
    with pytest.raises(httpx2.RemoteProtocolError):
        async with ask(client, endpoint):
            pass


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http:///v1"])
async def test_an_address_that_is_not_http_is_unsupported(client: httpx2.AsyncClient, url: str):
    with pytest.raises(httpx2.UnsupportedProtocol):
        await client.get(url)


async def test_cancelling_closes_the_connection_at_once_also_while_reading_is_paused(
    client: httpx2.AsyncClient, endpoint: Server
):
    begun = asyncio.Event()

    async def read() -> None:
        async with ask(client, endpoint) as response:
            reader = response.extensions["reader"]
            async for _ in reader:
                reader.pause(WAIT)
                begun.set()

    endpoint.respond = one_two
    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, WAIT)


async def test_cancelling_before_the_response_closes_the_connection(client: httpx2.AsyncClient, endpoint: Server):
    async def silent(exchange: Exchange) -> None:
        await exchange.gate("never")

    async def read() -> None:
        async with ask(client, endpoint):
            pass

    endpoint.respond = silent
    reading = asyncio.create_task(read())
    await asyncio.to_thread(endpoint.await_reached, "never")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, WAIT)


async def peers(
    client: httpx2.AsyncClient, server: Server, read: Callable[[httpx2.Response], Awaitable[None]]
) -> list[object]:
    """Return the client's addresses of two requests, the first of which is read by `read`."""

    async def respond(exchange: Exchange) -> None:
        await exchange.raw(b"one")
        if len(server.exchanges) == 1:
            await exchange.gate("more")

    server.respond = respond
    async with ask(client, server) as response:
        await read(response)
    async with asyncio.timeout(WAIT), ask(client, server) as response:
        await response.aread()
    return [exchange.peer for exchange in server.exchanges]


async def test_a_connection_is_used_again_once_a_response_was_read_to_its_end(
    client: httpx2.AsyncClient, endpoint: Server
):
    async def read_and_pause(response: httpx2.Response) -> None:
        reader = response.extensions["reader"]
        endpoint.open("more")
        assert b"".join([data async for data in reader]) == b"one"
        reader.pause(WAIT)  # too late: a connection in the pool must not be paused

    first, second = await peers(client, endpoint, read_and_pause)
    assert first == second


async def test_a_connection_that_is_left_while_paused_is_not_used_again(client: httpx2.AsyncClient, endpoint: Server):
    async def pause(response: httpx2.Response) -> None:
        reader = response.extensions["reader"]
        assert await anext(reader) == b"one"
        reader.pause(WAIT)

    first, second = await peers(client, endpoint, pause)
    assert first != second
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, WAIT)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_the_environment_names_the_proxy(
    client: httpx2.AsyncClient, endpoint: Server, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
):
    monkeypatch.setenv(variable, scheme + endpoint.base_url.removeprefix("http://").removesuffix("/v1"))
    await client.post("http://model.example/v1", json={})
    assert endpoint.exchanges[0].headers["Host"] == "model.example"


async def test_hosts_in_no_proxy_are_reached_directly(
    client: httpx2.AsyncClient, endpoint: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert (await client.post(endpoint.base_url, json={})).status_code == 200


async def test_passwords_in_netrc_are_not_used(
    client: httpx2.AsyncClient, endpoint: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    await client.post(endpoint.base_url, json={}, headers={"Authorization": "Bearer key"})
    assert endpoint.exchanges[0].headers["Authorization"] == "Bearer key"
