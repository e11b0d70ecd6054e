"""Text from an endpoint is made fit to be stored and logged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.inference.sanitise import one_line, storable, without_repetitions, without_secrets


@given(st.text(st.characters()))
def test_any_text_becomes_storable_and_one_line(text: str):
    assert "\x00" not in storable(text).encode().decode()
    line = one_line(text, 20)
    line.encode()
    assert line.isprintable()
    assert len(line) <= 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Incorrect API key: sk-proj-abc_1.", "Incorrect API key: …"),
        ("Authorization: Bearer abc", "Authorization: …"),
        ("at https://name:word@host/path", "at https://…@host/path"),
        ("token eyJhbGciOi.eyJpc3Mi", "token …"),
        ("canary-key is wrong, none was given", "… is wrong, none was given"),
        ("risk-taking, task-force", "risk-taking, task-force"),
    ],
)
def test_keys_are_removed(text: str, expected: str):
    assert without_secrets(text, "canary-key", "none", "") == expected


PROMPT = "Write a letter to my landlord about the heating, which has been broken since May."


@given(st.integers(0, len(PROMPT) - 23), st.integers(23, len(PROMPT)), st.text(max_size=30))
def test_what_a_message_repeats_of_a_prompt_is_removed(start: int, length: int, around: str):
    quoted = PROMPT[start : start + length]
    left = without_repetitions(f"{around}{quoted}{around}", ["system prompt", PROMPT])
    assert not any(PROMPT[at : at + 23] in left for at in range(len(PROMPT) - 22))


def test_only_what_is_repeated_is_removed():
    message = f"Invalid input {PROMPT[:40]!r} for 'temperature'"
    assert without_repetitions(message, [PROMPT]) == "Invalid input '…' for 'temperature'"
    assert without_repetitions("'Why?' is invalid", ["Why?", "a"]) == "'…' is invalid"
    assert without_repetitions("unsupported", [PROMPT]) == "unsupported"
