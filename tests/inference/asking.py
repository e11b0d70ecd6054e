"""One request to a model endpoint, for tests of what comes back."""

import json

from conversations.inference.deltas import Delta
from conversations.inference.endpoint import Endpoint
from conversations.inference.stream import Outcome, stream


async def ask(connected: Endpoint, seen: list[Delta] | None = None, stall_seconds: float = 20) -> Outcome:
    request = connected.request([{"role": "user", "content": "canary-prompt"}])
    sink = [] if seen is None else seen
    return await stream(connected.create, request, sink.extend, stall_seconds=stall_seconds)


def text(seen: list[Delta]) -> str:
    return "".join(delta.text for delta in seen)


def event(word: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": word}}]}).encode() + b"\n\n"
