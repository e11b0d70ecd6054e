"""Messages between replicas that are not what they should be."""

import uuid
from typing import Any

import pytest

from conversations.generation.commit import Claim
from conversations.generation.live import LiveText
from conversations.generation.mirror import Mirror, MirrorSender
from conversations.generation.runner import Run
from conversations.models import Kind
from tests.models import NoEndpoint

REQUEST = {"generation": 1, "channel": "other", "have": [1, 0, 0, 0]}
TEXT = {
    "attempt": 2,
    "relabels": 0,
    "at": {"reasoning": 0, "answer": 0},
    "reasoning": "Hm. ",
    "answer": "",
    "seconds": 1.5,
    "thought_seconds": None,
    "source": "live",
    "notice": "",
    "ended": False,
    "from": "other",
}


def changes(message: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return each key of a message with values that it may not have; None leaves it out."""
    wrong: dict[type, list[Any]] = {
        int: [None, "1", [], 1.5],
        float: [None, "1"],
        str: [None, 5, ["x"], {}],
        bool: [None, 0, "no"],
        list: [None, 5, [], [1, 0, 0], [1, 0, 0, "0"], {"a": 1}],
        dict: [None, 5, {}, {"reasoning": 0}, {"reasoning": 0, "answer": "0"}],
        type(None): ["1", []],
    }
    return [(key, value) for key, right in message.items() for value in wrong[type(right)]]


def changed(message: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return {k: v for k, v in (message | {key: value}).items() if v is not None or k == "thought_seconds"}


def test_a_request_starts_a_viewer_only_if_it_is_well_formed():
    run = Run(Claim(1, 1, 1, uuid.uuid4(), 1), lambda: 1, NoEndpoint())
    sender = MirrorSender({1: run})
    for key, value in changes(REQUEST):
        with pytest.raises(TypeError):
            sender._add_viewer(changed(REQUEST, key, value))
        assert not sender._viewers
    sender._add_viewer(REQUEST)
    assert [viewer.have for viewer in sender._viewers.values()] == [(1, 0, 0, 0)]


async def test_a_text_changes_what_is_shown_only_if_it_is_well_formed():
    live = LiveText(1, 1)
    mirror = Mirror(live)
    version = live.version
    for key, value in [*changes(TEXT), ("source", "elsewhere")]:
        with pytest.raises(TypeError):
            mirror._receive(changed(TEXT, key, value))
        assert (live.version, live.attempt) == (version, 0)
    mirror._receive(TEXT)
    assert (str(live.reasoning), live.attempt) == ("Hm. ", 2)
    assert live.reasoning.after(0) == TEXT[Kind.REASONING]
