"""Bytes are split into server-sent events. The dialects in test_chunks.py cover cuts, line ends and comments."""

import pytest

from conversations.inference import errors
from conversations.inference.sse import MAX_EVENT_BYTES, Event, EventReader


def test_an_event_has_a_name_and_all_its_lines_of_data():
    reader = EventReader()
    assert reader.feed(b"event: error\ndata: a\ndata:b\nid: 7\n\n") == [Event(b"error", b"a\nb")]
    assert reader.feed(b"data: c\n\n") == [Event(b"", b"c")]


def test_an_event_is_returned_when_its_blank_line_arrives_or_at_the_end():
    reader = EventReader()
    assert reader.feed(b"data: a\n") == []
    assert reader.feed(b"\ndata: b") == [Event(b"", b"a")]
    assert reader.close() == [Event(b"", b"b")]


def test_an_event_without_end_is_refused_before_it_fills_the_memory():
    reader = EventReader()
    reader.feed(b"x" * MAX_EVENT_BYTES)
    with pytest.raises(errors.Malformed):
        reader.feed(b"x")
