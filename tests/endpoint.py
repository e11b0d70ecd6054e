"""A model endpoint for tests: a real HTTP server on loopback that sends the server-sent events that a test defines.

async def answer(exchange):
    await exchange.reason("Hm. ")
    await exchange.gate("go on")      # until the test calls endpoint.open("go on")
    await exchange.answer("Yes.")
    await exchange.finish()

endpoint.respond = answer
"""

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

USAGE = {"prompt_tokens": 12, "completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 20}}
WAIT = 60  # seconds after which a missing event fails the test
GATE_SECONDS = 120  # after which a closed gate does: a test may wait for several events before it opens one


class Exchange:
    """One request and its response."""

    def __init__(self, request: web.Request, body: dict[str, Any], endpoint: "Endpoint") -> None:
        self.path = request.path
        self.peer = request.transport.get_extra_info("peername")
        self.query = dict(request.query)
        self.headers = dict(request.headers)
        self.body = body
        self.closed_by_client = threading.Event()
        self.over = threading.Event()  # set when it has ended in any way
        self.response: web.StreamResponse | None = None
        self._request = request
        self._endpoint = endpoint

    async def start(
        self,
        status: int = 200,
        content_type: str = "text/event-stream",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.response = web.StreamResponse(status=status, headers={"Content-Type": content_type, **(headers or {})})
        await self.response.prepare(self._request)

    async def raw(self, data: bytes) -> None:
        if self.response is None:
            await self.start()
        await self.response.write(data)

    async def event(self, payload: Any) -> None:
        await self.raw(b"data: " + json.dumps(payload).encode() + b"\n\n")

    async def delta(self, **delta: Any) -> None:
        await self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

    async def reason(self, text: str) -> None:
        await self.delta(reasoning_content=text)

    async def answer(self, text: str) -> None:
        await self.delta(content=text)

    async def finish(self, reason: str = "stop", usage: dict[str, Any] | None = USAGE) -> None:
        await self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if usage:
            await self.event({"choices": [], "usage": usage})
        await self.raw(b"data: [DONE]\n\n")

    async def fail(self, status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None) -> None:
        await self.start(status, "application/json", headers)
        await self.raw(json.dumps({"error": {"code": code, "message": message}}).encode())

    def cut(self) -> None:
        """Abort the connection, like a crash."""
        self._request.transport.abort()

    def write_raw_http(self, data: bytes) -> None:
        """Send bytes instead of a response."""
        self._request.transport.write(data)

    def close(self) -> None:
        """Close the connection once everything was sent."""
        self._request.transport.close()

    async def garbage(self) -> None:
        """Send an invalid event or, before the headers, invalid HTTP."""
        if self.response is None:
            self.write_raw_http(b"\x00\x16\x03 what is this\r\n\r\n")
        else:
            await self.raw(b"data: {oh no\n\n")

    async def gate(self, name: str) -> None:
        """Signal that this point has been reached, and wait until the test opens the gate."""
        await self._endpoint.wait_at(name)


Respond = Callable[[Exchange], Awaitable[None]]


async def think_and_answer(exchange: Exchange) -> None:
    await exchange.reason("Let me think. ")
    await exchange.reason("Both are decimals.")
    await exchange.answer("**9.8** is greater ")
    await exchange.answer("than 9.11.")
    await exchange.finish()


class Endpoint:
    """The server, in a thread with an event loop of its own. `exchanges` lists the requests in order."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.respond: Respond = think_and_answer
        self.exchanges: list[Exchange] = []
        self.base_url = ""
        self._host = host
        self._arrived = threading.Condition()
        self._gates: dict[str, asyncio.Event] = {}
        self._reached: dict[str, threading.Event] = defaultdict(threading.Event)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(WAIT)

    def open(self, name: str) -> None:
        """Open a gate for exchanges that wait there now or reach it later."""
        self._loop.call_soon_threadsafe(lambda: self._gates.setdefault(name, asyncio.Event()).set())

    def await_reached(self, name: str) -> None:
        """Wait until an exchange has reached this gate."""
        assert self._reached[name].wait(WAIT), f"no exchange reached the gate {name!r}"

    def await_exchange(self, number: int) -> Exchange:
        """Return the `number`th request (from 1), waiting for it."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.exchanges) >= number, WAIT), f"no request {number}"
        return self.exchanges[number - 1]

    async def wait_at(self, name: str) -> None:
        self._reached[name].set()
        async with asyncio.timeout(GATE_SECONDS):
            await self._gates.setdefault(name, asyncio.Event()).wait()

    def reset(self) -> None:
        """Restore the initial state, for the next test that uses this server."""
        self.respond = think_and_answer
        self.exchanges.clear()
        self._gates, self._reached = {}, defaultdict(threading.Event)

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(WAIT)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(request, json.loads(await request.read() or b"{}"), self)
        with self._arrived:
            self.exchanges.append(exchange)
            self._arrived.notify_all()
        try:
            await self.respond(exchange)
            if exchange.response is None:
                await exchange.start()
            await exchange.response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            exchange.closed_by_client.set()
            raise
        finally:
            exchange.over.set()
        return exchange.response

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, self._host, 0)
        self._loop.run_until_complete(site.start())
        self.base_url = f"http://{self._host}:{runner.addresses[0][1]}/v1"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()
