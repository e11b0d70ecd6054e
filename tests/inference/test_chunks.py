"""Every dialect is read into the same deltas, however its bytes were cut into reads."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.inference import errors
from conversations.inference.chunks import ChunkReader
from conversations.inference.sse import EventReader
from conversations.models import Kind
from tests.inference.dialects import DIALECTS, STREAMS, Dialect, chunk, sse


def read(*reads: bytes) -> tuple[str, str, str, object]:
    """Return (reasoning, answer, finish reason, usage) of a stream that arrives in these reads."""
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
    return reasoning, answer, chunks.finish_reason or "stop", chunks.usage


def expected(dialect: Dialect) -> tuple[str, str, str, object]:
    return dialect.reasoning, dialect.answer, dialect.finish_reason, dialect.usage


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
    ],
)
def test_unreadable_data_and_error_events_raise_our_errors(data: bytes, error: type[errors.InferenceError]):
    with pytest.raises(error):
        read(data)


def test_a_finish_reason_is_cleaned_and_cut_to_what_the_database_stores():
    reason = '"\\ud83d\\u0000' + "x" * 50 + '"'
    *_, finish_reason, _ = read(f'data: {{"choices": [{{"finish_reason": {reason}}}]}}\n\n'.encode())
    assert finish_reason == "\ufffd\ufffd" + "x" * 38
