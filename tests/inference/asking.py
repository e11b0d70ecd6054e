"""One request to a model endpoint, for tests of what comes back."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conversations.inference.deltas import Delta
from conversations.inference.endpoint import OpenModel, open_models
from conversations.inference.registry import Model
from conversations.inference.stream import Outcome, stream
from tests.models import registry


@asynccontextmanager
async def opened(settings: Any, model: Model) -> AsyncIterator[OpenModel]:
    """Open a model, the only one of the site with these settings."""
    settings.MODELS = registry(model)
    models = await open_models()
    try:
        yield models.by_id[model.id]
    finally:
        await models.close()


async def ask(
    connected: OpenModel, seen: list[Delta] | None = None, stall_seconds: float = 20, content: Any = "canary-prompt"
) -> Outcome:
    request = connected.request([{"role": "user", "content": content}])
    sink = [] if seen is None else seen
    return await stream(connected.endpoint.create, request, sink.extend, stall_seconds=stall_seconds)


def text(seen: list[Delta]) -> str:
    return "".join(delta.text for delta in seen)


def event(word: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": word}}]}).encode() + b"\n\n"


# The fields of every request.
PLAIN = {"model", "messages", "stream", "stream_options"}


def flat(request: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request's body."""
    return {name: value for name, value in request.items() if name != "extra_body"} | request.get("extra_body", {})
