"""What a failed request leaves in memory."""

import asyncio
import gc
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
