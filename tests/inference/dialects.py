"""Streams as endpoints send them, and what each must become; `streams/*.sse` are recorded by `check_endpoint`."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from conversations.inference import errors
from conversations.inference.chunks import Usage
from tests.inference.payloads import chunk, parts, sse, whole

STREAMS = Path(__file__).parent / "streams"


@dataclass(frozen=True)
class Dialect:
    name: str
    data: bytes
    reasoning: str
    answer: str
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)
    failure: type[errors.InferenceError] | None = None


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
    Dialect(
        "openai",  # which shows no reasoning, but counts it
        sse(
            chunk(role="assistant", content="", refusal=None) | {"usage": None},
            chunk(content="Yes.") | {"usage": None, "obfuscation": "x"},
            chunk("stop") | {"usage": None},
            {"choices": [], "usage": DETAILED | {"prompt_tokens_details": {"cached_tokens": 8}}},
        ),
        "",
        "Yes.",
        usage=Usage(12, 20, 10, 8),
    ),
    Dialect(
        "azure's OpenAI models",
        sse(
            {"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
            chunk(role="assistant", content="", refusal=None),
            chunk(content="Yes."),
            chunk("stop"),
            {"choices": [], "usage": DETAILED},
        ),
        "",
        "Yes.",
        usage=Usage(12, 20, 10),
    ),
    Dialect(
        "sglang",
        sse(
            chunk(role="assistant", content="", reasoning_content=None),
            chunk(content=None, reasoning_content="Hm."),
            chunk(content="Yes.", reasoning_content=None),
            chunk("stop", content=None) | {"matched_stop": 151645},
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "reasoning_tokens": 2}},
        ),
        "Hm.",
        "Yes.",
        usage=Usage(3, 2, 3),
    ),
    Dialect(
        "llama.cpp",
        sse(
            chunk(role="assistant", content=None),
            chunk(reasoning_content="Hm."),
            chunk(content="Yes."),
            chunk("stop"),
            {
                "choices": [],
                "usage": {"completion_tokens": 5, "prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}},
                "timings": {"cache_n": 1, "predicted_n": 5},
            },
        ),
        "Hm.",
        "Yes.",
        usage=Usage(3, None, 5, 1),
    ),
    Dialect(
        "ollama",
        sse(
            chunk(role="assistant", content="", reasoning="Hm."),
            chunk(content="Yes."),
            chunk("stop", content=""),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}},
        ),
        "Hm.",
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
    Dialect("no finish reason but DONE", sse(chunk(content="Yes.")), "", "Yes.", "", failure=errors.Unstated),
    Dialect("null as a word", sse(chunk("null", content="Yes.")), "", "Yes.", "", failure=errors.Unstated),
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
        "",
        failure=errors.Unstated,
    ),
    Dialect("odd usage", sse(chunk("stop", content="Yes.") | {"usage": {"prompt_tokens": "12"}}), "", "Yes."),
    Dialect(
        "booleans and negative numbers as usage",
        sse(chunk("stop", content="Yes.") | {"usage": {"prompt_tokens": True, "completion_tokens": -1}}),
        "",
        "Yes.",
    ),
    Dialect("a byte order mark", b"\xef\xbb\xbf" + sse(chunk(content="Yes."), chunk("stop")), "", "Yes."),
    Dialect(
        "reasoning of white space",
        sse(chunk(reasoning_content="\n"), chunk(reasoning_content=" \n\n"), chunk(content="Yes."), chunk("stop")),
        "",
        "Yes.",
    ),
    Dialect(
        "white space before reasoning",
        sse(chunk(reasoning_content="\n"), chunk(reasoning_content=" Hm.\n"), chunk(content="Yes."), chunk("stop")),
        "Hm.\n",
        "Yes.",
    ),
    Dialect(
        "white space before a closing tag",
        sse(chunk(content="\n\n"), chunk(content="</think>\n\nYes."), chunk("stop")),
        "",
        "Yes.",
    ),
    Dialect(
        "white space before an answer",
        sse(chunk(content="\n\n"), chunk(content="    Yes.\n"), chunk(content="</div>"), chunk("stop")),
        "",
        "\n\n    Yes.\n</div>",
    ),
    Dialect(
        "Mistral's parts",
        sse(
            chunk(**parts({"type": "thinking", "thinking": [{"type": "text", "text": "Hm. "}]})),
            chunk(**parts({"type": "thinking", "thinking": [{"type": "text", "text": "So."}], "closed": True})),
            chunk(**parts({"type": "text", "text": "Yes"}, {"type": "reference", "reference_ids": [1]})),
            chunk(content="."),
            chunk("stop", content=""),
        ),
        "Hm. So.",
        "Yes.",
    ),
    Dialect(
        "parts of other names",
        sse(
            chunk(**parts({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]})),
            chunk(
                **parts("Yes", {"type": "output_text", "text": {"value": ", <think>"}}, {"type": "new", "text": "."})
            ),
            chunk(content={"type": "text", "text": " So."}),
            chunk("stop"),
        ),
        "Hm.",
        "Yes, <think>. So.",
    ),
    Dialect(
        "parts without text",
        sse(chunk(**parts({"type": "image_url", "image_url": {"url": "data:,"}})), chunk("stop")),
        "",
        "",
        failure=errors.NotText,
    ),
    Dialect(
        "reasoning details alone",
        sse(
            chunk(content="", reasoning_details=[{"type": "reasoning.summary", "summary": "Hm. "}]),
            chunk(content="", reasoning=None, reasoning_details=[{"type": "reasoning.text", "text": "So."}]),
            chunk(content="", reasoning_details=[{"type": "reasoning.encrypted", "data": "b64"}]),
            chunk(content="Yes."),
            chunk("stop"),
        ),
        "Hm. So.",
        "Yes.",
    ),
    Dialect(
        "reasoning details that repeat all reasoning at its end",
        sse(
            chunk(reasoning="Hm."),
            chunk(reasoning_details=[{"type": "reasoning.text", "text": "Hm.", "signature": "s"}]),
            chunk(content="Yes."),
            chunk("stop"),
        ),
        "Hm.",
        "Yes.",
    ),
    Dialect(
        "a refusal",
        sse(chunk(role="assistant", content=None, refusal="I can"), chunk(refusal="not."), chunk("stop")),
        "",
        "I cannot.",
        failure=errors.Refused,
    ),
    Dialect(
        "a refusal in parts",
        sse(chunk(**parts({"type": "refusal", "refusal": "I cannot."})), chunk("stop")),
        "",
        "I cannot.",
        failure=errors.Refused,
    ),
    Dialect(
        "a tool call",
        sse(
            chunk(reasoning_content="Hm."),
            chunk(content="I look it up."),
            chunk(tool_calls=[{"index": 0, "id": "t", "function": {"name": "search", "arguments": "{}"}}]),
            chunk("tool_calls"),
        ),
        "Hm.",
        "I look it up.",
        "tool_calls",
        failure=errors.ToolCalled,
    ),
    Dialect(
        "a tool call that ends as usual",
        sse(chunk(tool_calls=[{"index": 0, "function": {"name": "search", "arguments": "{}"}}]), chunk("stop")),
        "",
        "",
        failure=errors.ToolCalled,
    ),
    Dialect(
        "a tool that the endpoint itself has used",
        sse(chunk(tool_calls=[{"index": 0, "type": "web_search"}]), chunk(content="Yes."), chunk("stop")),
        "",
        "Yes.",
    ),
    Dialect(
        "a second choice",
        sse(
            {"choices": [{"index": 0, "delta": {"content": "Yes"}}, {"index": 1, "delta": {"content": "No"}}]},
            {"choices": [{"index": 1, "delta": {"content": " way"}, "finish_reason": "length"}]},
            {"choices": [{"index": 1, "delta": {}}, {"index": 0, "delta": {"content": "."}, "finish_reason": "stop"}]},
        ),
        "",
        "Yes.",
    ),
    Dialect("plain text", sse({"choices": [{"text": "Yes"}]}, {"choices": [{"text": "."}]}, chunk("stop")), "", "Yes."),
    Dialect("a whole message", sse(whole("stop", reasoning="Hm.", content="Yes.")), "Hm.", "Yes."),
    Dialect(
        "the message so far with each chunk",
        sse(
            whole(reasoning_content="Hm"),
            whole(reasoning_content="Hm."),
            whole(reasoning_content="Hm.", content="Yes"),
            whole("stop", reasoning_content="Hm.", content="Yes."),
        ),
        "Hm.",
        "Yes.",
    ),
    Dialect(
        "pieces of a message",
        sse(whole(content="The"), whole(content=" end. "), whole("stop", content="The end.")),
        "",
        "The end. The end.",
    ),
    Dialect(
        "deltas, and the whole message once more",
        sse(
            chunk(reasoning_content="\nHm."),
            chunk(content="<thi"),
            chunk(content="nk>"),
            whole("stop", reasoning_content="\nHm.", content="<think>!"),
        ),
        "Hm.",
        "<think>!",
    ),
    Dialect(
        "a message of refusal and a tool call",
        sse(whole("stop", content=None, refusal="I cannot.", tool_calls=[{"id": "t"}])),
        "",
        "I cannot.",
        failure=errors.Refused,
    ),
    Dialect(
        "an answer in one object",
        json.dumps(whole("length", reasoning="Hm.", content="好.") | {"usage": DETAILED}).encode(),
        "Hm.",
        "好.",
        "length",
        usage=Usage(12, 20, 10),
    ),
    Dialect(
        "an answer in one object over several lines",
        b"\n" + json.dumps(whole("stop", content="<think>\nHm.</think>Yes."), indent=2).encode() + b"\n",
        "Hm.",
        "Yes.",
    ),
]
