"""The parts of which streams are built: chunks, whole messages and the body of a response."""

import json


def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def whole(finish: str | None = None, **message: object) -> dict[str, object]:
    """Return a chunk with a message instead of a delta: alone, what an endpoint that does not stream responds."""
    return {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }


def parts(*parts: object) -> dict[str, object]:
    return {"content": list(parts)}


def sse(*parts: object, end: str = "\n", done: bool = True, escape: bool = False) -> bytes:
    """Return a response's body: objects as events, strings as lines of their own."""
    lines = []
    for part in parts:
        lines += [part if isinstance(part, str) else "data: " + json.dumps(part, ensure_ascii=escape), ""]
    lines += ["data: [DONE]", ""] if done else []
    return (end.join(lines) + end).encode()
