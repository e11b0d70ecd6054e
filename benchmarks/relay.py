"""The baseline: a chat that stores nothing. `python -m benchmarks.relay BASE_URL` serves it.

A minimal ASGI application on the same server (Daphne on uvloop) with the SDK's defaults: it receives a prompt by
websocket and forwards the typed chunks, one frame per delta. No database, no rendering, no second viewer.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # before Daphne is imported, which uses the current loop

import daphne.server  # noqa: E402
import openai  # noqa: E402


class Relay:
    """The application. All sockets share one SDK client, as in the site."""

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key="none",
            max_retries=0,
            timeout=None,  # an overloaded run is measured to its end
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
