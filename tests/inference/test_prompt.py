import pytest

from conversations.inference.prompt import build_prompt
from conversations.models import Message, Role


def history(*texts: str) -> list[Message]:
    """Return questions and answers in turn, with reasoning that must never be sent."""
    roles = (Role.USER, Role.ASSISTANT)
    return [
        Message(pk=n, role=roles[n % 2], content=text, reasoning="secret thought" if n % 2 else "")
        for n, text in enumerate(texts)
    ]


def test_the_history_is_sent_without_reasoning_after_the_system_prompt():
    prompt = build_prompt(history("Q1", "A1", "Q2"), system="Be brief.", context_tokens=4096)
    assert prompt.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Q1"},
        {"role": "assistant", "content": "A1"},
        {"role": "user", "content": "Q2"},
    ]
    assert prompt.context_start is None


def test_questions_around_an_empty_answer_become_one_message():
    prompt = build_prompt(history("Q1", "", "Q2"), system="", context_tokens=4096)
    assert prompt.messages == [{"role": "user", "content": "Q1\n\nQ2"}]


def test_whole_oldest_turns_are_left_out_when_the_context_is_full():
    thread = history("old " * 400, "old " * 400, "Q2", "A2", "Q3")
    prompt = build_prompt(thread, system="", context_tokens=1000)
    assert [message["content"] for message in prompt.messages] == ["Q2", "A2", "Q3"]
    assert prompt.context_start == thread[2]


def test_a_turn_in_the_middle_is_never_left_out_by_itself():
    thread = history("Q1", "A1", "big " * 800, "big " * 800, "Q3")
    prompt = build_prompt(thread, system="", context_tokens=1000)
    assert [message["content"] for message in prompt.messages] == ["Q3"]


@pytest.mark.parametrize("output_tokens", [0, 100, 10_000])
def test_the_last_question_is_always_sent(output_tokens: int):
    thread = history("Q1", "A1", "x" * 100_000)
    prompt = build_prompt(thread, system="", context_tokens=1000, output_tokens=output_tokens)
    assert [message["content"] for message in prompt.messages] == ["x" * 100_000]
    assert prompt.context_start == thread[2]


def test_part_of_the_context_is_reserved_for_the_answer():
    thread = history("q" * 900, "a" * 900, "Q2")
    assert build_prompt(thread, system="", context_tokens=1200, output_tokens=0).context_start is None
    assert build_prompt(thread, system="", context_tokens=1200, output_tokens=600).context_start == thread[2]


def test_an_answer_at_the_end_of_the_history_is_always_sent():
    thread = history("Q1", "A1", "Q2", "x" * 100_000)
    prompt = build_prompt(thread, system="", context_tokens=1000)
    assert [message["role"] for message in prompt.messages] == ["user", "assistant"]
    assert prompt.messages[-1] == {"role": "assistant", "content": "x" * 100_000}
    assert prompt.context_start == thread[2]
