"""The baseline: what a chat costs that keeps nothing. `python -m benchmarks.relay BASE_URL` serves it.

A minimal ASGI application on the site's own server (Daphne on uvloop), with the SDK as it comes: it takes a prompt by
websocket and forwards typed chunks, one frame per delta. No database, no rendering, no second viewer.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # before Daphne is imported: it takes the loop it finds

import daphne.server  # noqa: E402
import openai  # noqa: E402


class Relay:
    """The application; one client of the SDK for all sockets, as in the site."""

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key="none",
            max_retries=0,
            timeout=None,  # it is measured until it is done, however late
        )

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            chunks = await self._client.chat.completions.create(
                model="benchmark",
                messages=[{"role": "user", "content": message["text"]}],
                stream=True,
                stream_options={"include_usage": True},
            )
            async for chunk in chunks:
                for choice in chunk.choices:
                    text = getattr(choice.delta, "reasoning_content", None) or choice.delta.content
                    await send({"type": "websocket.send", "text": text or "end"})


class Server(daphne.server.Server):
    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        host, number = self.listening_addresses[0]
        print(f"running at http://{host}:{number}", flush=True)


if __name__ == "__main__":
    Server(Relay(sys.argv[1]), endpoints=["tcp:port=0:interface=127.0.0.1"], websocket_timeout=-1).run()
