"""Streams as endpoints send them, and what each must become; `streams/*.sse` are recorded by `check_endpoint`."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from conversations.inference.chunks import Usage

STREAMS = Path(__file__).parent / "streams"


@dataclass(frozen=True)
class Dialect:
    name: str
    data: bytes
    reasoning: str
    answer: str
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)


def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def sse(*parts: object, end: str = "\n", done: bool = True, escape: bool = False) -> bytes:
    """Return a response's body: objects as events, strings as lines of their own."""
    lines = []
    for part in parts:
        lines += [part if isinstance(part, str) else "data: " + json.dumps(part, ensure_ascii=escape), ""]
    lines += ["data: [DONE]", ""] if done else []
    return (end.join(lines) + end).encode()


DETAILED = {"prompt_tokens": 12, "completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 20}}

DIALECTS = [
    Dialect(
        "deepseek",
        sse(
            chunk(role="assistant", content=None, reasoning_content=""),
            ": keep-alive",
            chunk(content=None, reasoning_content="Let me "),
            chunk(content=None, reasoning_content="think."),
            chunk(content="Yes", reasoning_content=None),
            chunk(content=" 好😀."),
            chunk("stop", content="") | {"usage": DETAILED | {"prompt_cache_hit_tokens": 8}},
        ),
        "Let me think.",
        "Yes 好😀.",
        usage=Usage(12, 20, 10, 8),
    ),
    Dialect(
        "azure",
        sse(
            {"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
            chunk(role="assistant", content="", reasoning_content="Hm."),
            chunk(content="Yes."),
            chunk("stop"),
            {"choices": [], "usage": DETAILED},
        ),
        "Hm.",
        "Yes.",
        usage=Usage(12, 20, 10),
    ),
    Dialect(
        "vllm",
        sse(chunk(role="assistant", content=""), chunk(reasoning="Hm."), chunk(content="Yes."), chunk("length")),
        "Hm.",
        "Yes.",
        "length",
    ),
    Dialect(
        "openrouter",
        sse(
            ": OPENROUTER PROCESSING",
            chunk(content="", reasoning="Hm", reasoning_details=[{"type": "reasoning.text", "text": "Hm"}]),
            chunk(content="Yes.", reasoning=None),
            chunk("stop"),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}},
        ),
        "Hm",
        "Yes.",
        usage=Usage(3, None, 5),
    ),
    Dialect("reasoning_text", sse(chunk(reasoning_text="Hm."), chunk(content="Yes."), chunk("stop")), "Hm.", "Yes."),
    Dialect(
        "a gateway that repeats reasoning under two names",
        sse(chunk(reasoning_content="Hm.", reasoning="Hm."), chunk(content="Yes."), chunk("stop")),
        "Hm.",
        "Yes.",
    ),
    Dialect(
        "tags",
        sse(
            chunk(content="\n<thi"),
            chunk(content="nk>\nHm. 2 < 3"),
            chunk(content="</th"),
            chunk(content="ink>\n\nYes."),
            chunk("stop"),
        ),
        "Hm. 2 < 3",
        "Yes.",
    ),
    Dialect("empty thought", sse(chunk(content="<think>\n\n</think>\n\nYes."), chunk("stop")), "", "Yes."),
    Dialect(
        "tags without the opening one",
        sse(chunk(content="Let me think.\n</thi"), chunk(content="nk>\n\nYes."), chunk("stop")),
        "Let me think.\n",
        "Yes.",
    ),
    Dialect(
        "an answer about tags",
        sse(chunk(content="Write <think> and </think> around it.\n"), chunk(content="</div>\n"), chunk("stop")),
        "",
        "Write <think> and </think> around it.\n</div>\n",
    ),
    Dialect(
        "tags in an answer after structured reasoning",
        sse(chunk(reasoning_content="Hm."), chunk(content="<think>no</think>"), chunk("stop")),
        "Hm.",
        "<think>no</think>",
    ),
    Dialect("no DONE", sse(chunk(content="Yes."), chunk("stop"), done=False), "", "Yes."),
    Dialect("no last blank line", sse(chunk(content="Yes."), chunk("stop"), done=False).rstrip(b"\n"), "", "Yes."),
    Dialect("no finish reason but DONE", sse(chunk(content="Yes.")), "", "Yes."),
    Dialect("CRLF", sse(chunk(reasoning="Hm."), chunk(content="Yes."), chunk("stop"), end="\r\n"), "Hm.", "Yes."),
    Dialect("CR", sse(chunk(reasoning="Hm."), chunk(content="Yes."), chunk("stop"), end="\r"), "Hm.", "Yes."),
    Dialect(
        "Unicode line separators",
        sse(chunk(content="a\u2028b\u2029c\u0085d"), chunk("stop")),
        "",
        "a\u2028b\u2029c\u0085d",
    ),
    Dialect(
        "an emoji in two halves",
        sse(chunk(content="a\ud83d"), chunk(content="\ude00b"), chunk("stop"), escape=True),
        "",
        "a😀b",
    ),
    Dialect(
        "what no database keeps",
        sse(chunk(content="a\x00b"), chunk(reasoning="x\ud83d"), chunk(content="c"), chunk("stop"), escape=True),
        "x",
        "a\ufffdbc",
    ),
    Dialect("thought and said nothing", sse(chunk(reasoning_content="Hm."), chunk("length")), "Hm.", "", "length"),
    Dialect(
        "several lines of data and fields of no meaning",
        b'event: message\nid: 7\nretry: 10\ndata: {"choices": [{"delta":\n'
        b'data: {"content": "Yes."}}]}\n\ndata:[DONE]\n\n',
        "",
        "Yes.",
    ),
    Dialect("odd usage", sse(chunk("stop", content="Yes.") | {"usage": {"prompt_tokens": "12"}}), "", "Yes."),
]
