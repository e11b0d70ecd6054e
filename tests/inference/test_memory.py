"""What a failed request leaves in memory, and what a request keeps there while its answer streams."""

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from conversations.inference import errors
from conversations.inference.endpoint import OpenModel
from conversations.inference.stream import stream
from tests.endpoint import Endpoint as Server
from tests.endpoint import Exchange
from tests.faults.traffic import cut, error_event, garbage, stall
from tests.inference.asking import ask, event, opened
from tests.models import model


class Messages(list[dict[str, str]]):
    """The messages of a request, to which there are weak references."""


async def refuse(exchange: Exchange) -> None:
    await exchange.fail(503, headers={"Retry-After": "0"})


@pytest.mark.parametrize("respond", [cut, garbage, error_event, stall, refuse])
async def test_a_failure_keeps_no_prompt_in_memory(
    connected: OpenModel, endpoint: Server, respond: Callable[[Exchange], Awaitable[None]]
):
    endpoint.respond = respond
    messages = Messages([{"role": "user", "content": "canary-prompt"}])
    kept = weakref.ref(messages)
    gc.disable()  # the garbage collector counts objects, whatever their size
    try:
        with suppress(errors.InferenceError):
            await stream(connected.endpoint.create, connected.request(messages), print, stall_seconds=1)
        del messages
        await asyncio.sleep(0)  # what is left of a cancelled wait goes with the next step of the event loop
        assert endpoint.exchanges
        assert kept() is None
    finally:
        gc.enable()


IMAGE_BYTES = 4_000_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


async def test_images_are_not_kept_in_memory_after_the_answer_has_begun(settings):
    begun, over = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin an answer, and cut it if the request was small. Unlike `tests.endpoint`, keep no request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = left = int(head.lower().partition(b"content-length:")[2].split()[0])
        while left:
            left -= len(await reader.readexactly(min(left, 2**16)))
        writer.write(HEAD + event("Yes"))
        if length > IMAGE_BYTES:
            await reader.read()  # until the client leaves
            over.set()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with opened(settings, model(f"http://{host}:{port}/v1")) as connected, asyncio.timeout(60):
        with suppress(errors.Unfinished):
            await ask(connected)  # what the first request loads stays in memory
        tracemalloc.start()
        try:
            image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * IMAGE_BYTES}}
            content = [image, {"type": "text", "text": "What is it?"}]
            del image
            request = connected.request([{"role": "user", "content": content}])
            assert tracemalloc.get_traced_memory()[0] > IMAGE_BYTES
            answering = stream(connected.endpoint.create, request, lambda _: begun.set(), stall_seconds=20)
            streaming = asyncio.create_task(answering)
            await begun.wait()
            assert tracemalloc.get_traced_memory()[0] < IMAGE_BYTES / 2
            assert content == [{"type": "text", "text": "What is it?"}]
        finally:
            tracemalloc.stop()
        streaming.cancel()
        await asyncio.wait([streaming])
        await over.wait()
    server.close()
    await server.wait_closed()
