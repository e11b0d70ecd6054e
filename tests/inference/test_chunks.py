"""Every dialect is read into the same deltas, however its bytes were cut into reads."""

import contextlib
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.inference import errors
from conversations.inference.chunks import ChunkReader, Usage
from conversations.inference.deltas import Delta
from conversations.inference.sse import Event, EventReader
from conversations.models import Kind
from tests.inference.dialects import DIALECTS, STREAMS, Dialect
from tests.inference.payloads import chunk, sse


def read(*reads: bytes) -> tuple[str, str, str, object, object]:
    """Return (reasoning, answer, finish reason, usage, kind of failure) of a stream that arrives in these reads."""
    events, chunks = EventReader(), ChunkReader()
    reasoning = answer = ""
    for data in [*reads, None]:
        found = events.close() if data is None else events.feed(data)
        deltas = [delta for event in found for delta in chunks.read(event)]
        for delta in deltas + (chunks.close() if data is None else []):
            if delta.relabels:
                reasoning, answer = reasoning + answer, ""
            if delta.kind == Kind.REASONING:
                reasoning += delta.text
            else:
                answer += delta.text
    failure = type(chunks.failure) if chunks.failure else None
    return reasoning, answer, chunks.finish_reason, chunks.usage, failure


def expected(dialect: Dialect) -> tuple[str, str, str, object, object]:
    return dialect.reasoning, dialect.answer, dialect.finish_reason, dialect.usage, dialect.failure


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_dialect_is_read_the_same_whole_byte_by_byte_and_cut_anywhere(dialect: Dialect):
    data = dialect.data
    assert read(data) == expected(dialect)
    assert read(*(data[n : n + 1] for n in range(len(data)))) == expected(dialect)
    for cut in range(len(data)):
        assert read(data[:cut], data[cut:]) == expected(dialect), f"cut at {cut}"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_dialect_is_read_the_same_in_any_number_of_pieces(data):
    dialect = data.draw(st.sampled_from(DIALECTS))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(dialect.data)))))
    bounds = [0, *cuts, len(dialect.data)]
    assert read(*(dialect.data[a:b] for a, b in pairwise(bounds))) == expected(dialect)


@pytest.mark.parametrize("path", sorted(STREAMS.glob("*.sse")), ids=lambda path: path.stem)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_recorded_stream_is_read_the_same_in_any_number_of_pieces(path, data):
    recorded = path.read_bytes()
    whole = read(recorded)
    assert whole[0]
    assert whole[1]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(recorded)), max_size=20)))
    bounds = [0, *cuts, len(recorded)]
    assert read(*(recorded[a:b] for a, b in pairwise(bounds))) == whole


NAMES = (
    *("choices", "delta", "message", "text", "content", "type", "finish_reason", "index", "usage", "error", "code"),
    *("reasoning", "reasoning_content", "reasoning_details", "thinking", "refusal", "tool_calls", "metadata", "raw"),
    *("prompt_tokens", "completion_tokens_details", "reasoning_tokens", "param", "loc", "detail"),
)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)


@settings(max_examples=200, deadline=None)
@given(reasoning=text, answer=text, size=st.integers(1, 50))
def test_reasoning_and_answer_are_separated_by_tags_whatever_the_text(reasoning: str, answer: str, size: int):
    content = f"<think>{reasoning}</think>{answer}"
    pieces = [chunk(content=content[n : n + size]) for n in range(0, len(content), size)]
    got = read(sse(*pieces, chunk("stop")))
    thought = content.removeprefix("<think>").partition("</think>")
    assert got[:2] == (thought[0].lstrip(), thought[2].lstrip())


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"data: {nonsense\n\n", errors.Malformed),
        (b"data: [1]\n\n", errors.Malformed),
        (b'data: {"choices": [1]}\n\n', errors.Malformed),
        (b'data: {"choices": {"a": 1}}\n\n', errors.Malformed),
        (b'data: {"choices": [{"delta": {"content": [1]}}]}\n\n', errors.Malformed),
        (b'data: {"error": {"code": "content_filter", "message": "no"}}\n\n', errors.Filtered),
        (b'event: error\ndata: {"message": "overloaded"}\n\n', errors.EndpointFailed),
        (b'data: {"error": "maximum context length exceeded"}\n\n', errors.ContextTooLong),
        (b'data: {"error": {"code": 429, "message": "slow down"}}\n\n', errors.RateLimited),
        (b'data: {"choices": [{"message": "Yes."}]}\n\n', errors.Malformed),
        (b'data: {"choices": [null]}\n\n', errors.Malformed),
        (b"data: " + b"[" * 100_000 + b"\n\n", errors.Malformed),
        (b'data: {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n", errors.Malformed),
        (b'{"error": {"code": "content_filter"}}', errors.Filtered),
    ],
)
def test_unreadable_data_and_error_events_raise_our_errors(data: bytes, error: type[errors.InferenceError]):
    with pytest.raises(error):
        read(data)


def test_a_finish_reason_is_cleaned_and_cut_to_what_the_database_stores():
    reason = '"\\ud83d\\u0000' + "x" * 50 + '"'
    finish_reason = read(f'data: {{"choices": [{{"finish_reason": {reason}}}]}}\n\n'.encode())[2]
    assert finish_reason == "x" * 39 + "…"


@pytest.mark.parametrize(
    ("reasons", "failure"),
    [
        ("stop STOP end_turn stop_sequence eos_token COMPLETE length max_tokens MAX_TOKENS model_length", None),
        ("content_filter SAFETY RECITATION guardrail_intervened sensitive", errors.Filtered),
        ("refusal", errors.Refused),
        ("tool_calls function_call tool_use MALFORMED_FUNCTION_CALL", errors.ToolCalled),
        ("abort cancelled network_error TIMEOUT", errors.Aborted),
        ("error ERROR", errors.EndpointFailed),
        ("insufficient_system_resource", errors.OutOfResources),
        ("load OTHER", errors.Unexplained),
        ("null None FINISH_REASON_UNSPECIFIED", errors.Unstated),
    ],
)
def test_each_finish_reason_is_what_its_vendor_means(reasons: str, failure: type | None):
    for reason in reasons.split():
        assert read(sse(chunk(content="Yes."), chunk(reason)))[4] is failure, reason


def test_a_finish_reason_that_is_no_text_is_not_taken_for_any():
    assert read(b'data: {"choices": [{"finish_reason": {"stop": 1}}]}\n\n')[2:] == ("dict", Usage(), errors.Unexplained)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["text", "refusal"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(NAMES), children, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(json_values, json_values, json_values)
def test_no_json_whatever_raises_anything_but_our_errors(chunk: object, choice: object, fields: object):
    for value in (chunk, {"choices": [choice]}, {"choices": [{"delta": fields}]}, {"choices": [{"message": fields}]}):
        with contextlib.suppress(errors.InferenceError):
            reasoning, answer, *_ = read(b"data: " + json.dumps(value).encode() + b"\n\n")
            (reasoning + answer).encode()


def test_white_space_without_end_is_not_held_back():
    chunks = ChunkReader()
    held, passed = (chunks.read(Event(b"", json.dumps(chunk(content=" " * 600)).encode())) for _ in range(2))
    assert (held, passed) == ([], [Delta(Kind.ANSWER, " " * 1_200)])
