"""Outlines of thoughts: made at the end or when first needed, and only for the reasoning that is stored."""

import pytest

from conversations.models import Message, Status
from conversations.rendering import outlines
from conversations.rendering.cues import StepKind
from conversations.rendering.outlines import MAX_STEPS, OutlineStep, build, load, load_or_build, merge, stored
from conversations.rendering.steps import Step
from tests.factories import person
from tests.review.factories import make_conversation

FIRST = "Each table has a key that grows. " * 10
SECOND = "Wait, two writes can change their order. " + "That takes an outbox for each of the tables. " * 8
THOUGHT = f"{FIRST}\n\n{SECOND}"


def test_the_second_of_a_step_lies_between_the_commits_around_it():
    times = [(0, 0), (len(FIRST) - 198, 1), (len(FIRST) + 202, 2), (len(THOUGHT), 4)]
    outline = build(THOUGHT, times)
    assert outline.steps == [
        OutlineStep(0, "Each table has a key that grows", StepKind.PLAIN, 0),
        OutlineStep(len(FIRST) + 2, "Wait, two writes can change their order", StepKind.CORRECTION, 1.5),
    ]
    assert (outline.corrections, outline.characters) == (1, len(THOUGHT))
    assert "".join(outline.parts(THOUGHT)) == THOUGHT
    assert outline.times == [(0, 0), (len(FIRST) + 2, 1.5)]
    assert [outline.number_at(offset) for offset in (0, len(FIRST), len(FIRST) + 2, len(THOUGHT))] == [1, 1, 2, 2]
    assert build(THOUGHT).times == []
    assert build("") is None


def test_an_outline_has_at_most_200_steps_and_keeps_corrections():
    steps = [Step(n, f"Step {n}", StepKind.CORRECTION if n == 5 else StepKind.CHECK if n == 4 else StepKind.PLAIN)
             for n in range(401)]  # fmt: skip
    assert merge(steps[:200], MAX_STEPS) == steps[:200]
    merged = merge(steps, MAX_STEPS)
    assert len(merged) == 101
    assert merged[1] == Step(4, "Step 4", StepKind.CORRECTION)
    assert len(build(FIRST * 500).steps) <= MAX_STEPS


@pytest.fixture
def answer() -> Message:
    conversation = make_conversation(person("owner"), reasoning=THOUGHT)
    conversation.messages.update(outline=None)
    return Message.objects.get(pk=conversation.leaf_id)


@pytest.mark.django_db
def test_an_answer_of_an_earlier_version_gets_its_outline_once(answer: Message, django_assert_num_queries):
    assert load(answer) is None
    outline = load_or_build(answer)
    assert [step.second for step in outline.steps] == [None, None]
    again = Message.objects.get(pk=answer.pk)
    assert load(again) == outline
    assert not again.is_live
    with django_assert_num_queries(0):
        assert load_or_build(again) == outline


@pytest.mark.django_db
@pytest.mark.parametrize("words", [None, 99])
def test_an_outline_is_not_stored_when_the_reasoning_has_changed(answer: Message, words: int | None):
    Message.objects.filter(pk=answer.pk).update(reasoning_words=words)
    answer.refresh_from_db()
    Message.objects.filter(pk=answer.pk).update(reasoning="", reasoning_words=words and 0)  # deleted meanwhile
    assert load_or_build(answer).steps
    assert Message.objects.get(pk=answer.pk).outline is None


@pytest.mark.django_db
def test_the_outline_of_another_text_or_algorithm_is_not_used(answer: Message, monkeypatch: pytest.MonkeyPatch):
    outline = load_or_build(answer)
    answer.refresh_from_db()
    assert load(answer) == outline
    with monkeypatch.context() as changed:
        changed.setattr(outlines, "VERSION", 2)
        assert load(answer) is None
    answer.reasoning += "More."  # as an earlier version of this site would continue it
    assert load(answer) is None


@pytest.mark.django_db
def test_a_running_answer_gets_no_outline(answer: Message):
    answer.generations.update(status=Status.QUEUED)
    assert load_or_build(answer) is None
    assert stored(None) is None
