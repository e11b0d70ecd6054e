import uuid

import pytest
from django.db import OperationalError, connection, transaction

from conversations import actions
from conversations.actions import questions
from conversations.events import Topic
from conversations.generation.commit import Result, claim, finish
from conversations.generation.recovery import DATABASE_UNAVAILABLE, release
from conversations.models import Conversation, Generation, Message, Role, Status, User, Worker
from conversations.models.generation import GenerationQuerySet
from tests.factories import claimed, person, queued, shown_messages

pytestmark = pytest.mark.django_db


def test_a_prompt_is_stored_with_an_empty_answer_and_a_queued_generation():
    generation = actions.send_message(user=person(), content="Which is greater,\n9.11 or 9.8?")
    conversation = generation.conversation
    prompt, answer = shown_messages(conversation)
    assert (prompt.role, prompt.content, prompt.parent) == (
        Role.USER,
        "Which is greater,\n9.11 or 9.8?",
        None,
    )
    assert (answer.role, answer.content, answer.parent) == (Role.ASSISTANT, "", prompt)
    assert (generation.message, generation.status) == (answer, Status.QUEUED)
    assert conversation.title == "Which is greater, 9.11 or 9.8?"


def test_the_same_key_stores_one_prompt():
    user, key = person(), uuid.uuid4()
    first = actions.send_message(user=user, content="Why?", key=key)
    assert actions.send_message(user=user, content="Why?", key=key) == first
    assert Message.objects.filter(role=Role.USER).count() == 1


def test_users_do_not_share_keys():
    key = uuid.uuid4()
    mine = actions.send_message(user=person("ada"), content="Why?", key=key)
    theirs = actions.send_message(user=person("bob"), content="Why?", key=key)
    assert mine.conversation != theirs.conversation


def test_a_second_prompt_follows_the_first_answer():
    user = person()
    first = queued(user)
    second = queued(user, "And?", first.conversation)
    first.conversation.refresh_from_db()
    assert [m.content for m in shown_messages(first.conversation)] == ["Why?", "", "And?", ""]
    assert second.message.parent.parent == first.message


def test_a_queued_generation_is_stopped_at_once():
    generation = queued(person())
    actions.stop(generation=generation)
    generation.refresh_from_db()
    assert generation.status == Status.STOPPED
    assert generation.finished_at is not None


def test_stopping_a_running_generation_requests_it():
    claimed(person())
    generation = Generation.objects.get()
    actions.stop(generation=generation)
    generation.refresh_from_db()
    assert (generation.status, generation.stop_requested) == (Status.THINKING, True)


def test_a_generation_that_is_requeued_while_it_is_stopped_does_not_run_again(monkeypatch: pytest.MonkeyPatch):
    worker, claim_ = claimed(person())
    real = GenerationQuerySet.update

    def requeue_after_the_first_statement(generations, **columns):
        number = real(generations, **columns)
        if "stop_requested" in columns:
            release(worker.pk, claim_, DATABASE_UNAVAILABLE)
        return number

    monkeypatch.setattr(GenerationQuerySet, "update", requeue_after_the_first_statement)
    actions.stop(generation=Generation.objects.get())
    generation = Generation.objects.get()
    assert (generation.status, generation.stop_requested) == (Status.STOPPED, True)


def test_a_worker_in_reach_hears_of_a_stop_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch):
    claimed(person())
    published: list[object] = []
    monkeypatch.setattr(questions, "publish", lambda topic, *_: published.append(topic))
    with connection.cursor() as cursor:
        cursor.execute("pragma query_only = true")
        try:
            with pytest.raises(OperationalError), transaction.atomic():
                actions.stop(generation=Generation.objects.get())
        finally:
            cursor.execute("pragma query_only = false")
    assert published == [Topic.STOP_REQUESTED]


def test_stop_does_not_change_a_finished_generation():
    worker, claim = claimed(person())
    finish(worker.pk, claim, Result(Status.COMPLETE, "", "answer"), {})
    actions.stop(generation=Generation.objects.get())
    generation = Generation.objects.get()
    assert (generation.status, generation.stop_requested) == (Status.COMPLETE, False)


def test_retrying_an_empty_answer_reuses_its_message():
    user = person()
    worker, claim = claimed(user)
    finish(worker.pk, claim, Result(Status.FAILED, "", "", "It failed."), {})
    message = Message.objects.get(pk=claim.message_id)
    again = actions.regenerate(user=user, message=message)
    assert again.message == message
    assert again.status == Status.QUEUED


def test_retrying_an_answer_with_text_creates_another_version():
    user = person()
    worker, claim = claimed(user)
    finish(worker.pk, claim, Result(Status.INTERRUPTED, "thought", "part", "It broke."), {})
    message = Message.objects.get(pk=claim.message_id)
    again = actions.regenerate(user=user, message=message)
    assert again.message != message
    assert again.message.parent == message.parent
    message.refresh_from_db()
    assert message.content == "part"
    assert shown_messages(Conversation.objects.get())[-1] == again.message


def test_retrying_a_running_answer_queues_nothing():
    user = person()
    _, claim = claimed(user)
    message = Message.objects.get(pk=claim.message_id)
    assert actions.regenerate(user=user, message=message).pk == claim.generation_id
    assert Generation.objects.count() == 1


def test_selecting_a_version_shows_it_with_its_later_messages():
    user = person()
    worker, claim = claimed(user)
    finish(worker.pk, claim, Result(Status.COMPLETE, "", "first"), {})
    first = Message.objects.get(pk=claim.message_id)
    follow_up = queued(user, "And?", first.conversation)
    second = actions.regenerate(user=user, message=first).message
    conversation = Conversation.objects.get()
    assert shown_messages(conversation)[-1] == second
    assert shown_messages(conversation)[-1].versions == [first.pk, second.pk]
    actions.select(message=first)
    conversation.refresh_from_db()
    assert conversation.leaf == follow_up.message


def test_deleting_a_conversation_deletes_its_messages_and_generations():
    user = person()
    claimed(user)
    kept = queued(user).conversation
    actions.delete_at_once(conversation=Conversation.objects.exclude(pk=kept.pk).get())
    assert list(Conversation.objects.all()) == [kept]
    assert Generation.objects.count() == 1
    assert Message.objects.count() == 2


def ended(user: User, status: Status = Status.COMPLETE, reasoning: str = "thought", content: str = "answer") -> Message:
    """Return the answer of a new conversation, with this result."""
    worker, claim = claimed(user)
    finish(worker.pk, claim, Result(status, reasoning, content), {})
    return Message.objects.get(pk=claim.message_id)


def contents() -> list[str]:
    """Return the contents of the shown messages of the only conversation."""
    return [message.content for message in shown_messages(Conversation.objects.get())]


def test_an_edited_prompt_is_another_version_with_its_own_answer():
    user = person()
    answer = ended(user)
    queued(user, "And?", answer.conversation)
    generation = actions.edit(user=user, prompt=answer.parent, content="Why not?")
    assert contents() == ["Why not?", ""]
    edited = generation.message.parent
    assert shown_messages(Conversation.objects.get())[0].versions == [answer.parent_id, edited.pk]
    actions.select(message=answer.parent)
    assert contents() == ["Why?", "answer", "And?", ""]


def test_the_same_key_edits_once():
    user, key = person(), uuid.uuid4()
    prompt = ended(user).parent
    first = actions.edit(user=user, prompt=prompt, content="Why not?", key=key)
    assert actions.edit(user=user, prompt=prompt, content="Why not?", key=key) == first
    assert Message.objects.filter(role=Role.USER).count() == 2


def test_editing_stops_live_generations_below_the_old_version_only():
    user = person()
    _, claim = claimed(user)
    running = Generation.objects.get(pk=claim.generation_id)
    waiting = queued(user, "And?", running.conversation)
    elsewhere = queued(user)
    actions.edit(user=user, prompt=running.message.parent, content="Why not?")
    statuses = dict(Generation.objects.values_list("pk", "status"))
    assert (statuses[waiting.pk], statuses[elsewhere.pk]) == (Status.STOPPED, Status.QUEUED)
    running.refresh_from_db()
    assert running.stop_requested


def test_continuing_appends_to_the_same_answer():
    user = person()
    answer = ended(user, Status.STOPPED, "thought", "It is so beca")
    more = actions.continue_answer(user=user, message=answer)
    assert (more.message, more.joined_at, more.is_continuation) == (answer, 13, True)
    worker = Worker.objects.create()
    finish(worker.pk, claim(worker.pk, more.pk), Result(Status.LENGTH, "once more", "use of th"), {})
    again = actions.continue_answer(user=user, message=answer)
    assert again.joined_at == 22
    finish(worker.pk, claim(worker.pk, again.pk), Result(Status.COMPLETE, "", "at."), {})
    answer = Message.objects.get(pk=answer.pk)
    assert answer.content == "It is so because of that."
    assert answer.reasoning == "thought\n\nonce more"
    assert answer.continuation_offsets == [13, 22]
    assert [part.pk for part in answer.parts] == list(Generation.objects.order_by("pk").values_list("pk", flat=True))


def test_an_answer_that_is_being_continued_is_not_continued_twice():
    user = person()
    answer = ended(user, Status.STOPPED)
    first = actions.continue_answer(user=user, message=answer)
    assert actions.continue_answer(user=user, message=answer) == first
    assert Generation.objects.count() == 2


def test_continuing_an_answer_without_content_regenerates_it():
    user = person()
    unanswered = ended(user, Status.STOPPED, "thought", "")
    again = actions.continue_answer(user=user, message=unanswered)
    assert again.message != unanswered
    assert again.message.parent == unanswered.parent
    assert not again.is_continuation


def test_answer_now_stops_thinking_and_queues_another_version_without_thinking():
    user = person()
    _, claim = claimed(user)
    thinking = Generation.objects.get(pk=claim.generation_id)
    now = actions.answer_now(user=user, generation=thinking)
    thinking.refresh_from_db()
    assert thinking.stop_requested
    assert (now.without_thinking, now.status) == (True, Status.QUEUED)
    assert shown_messages(Conversation.objects.get())[-1].versions == [thinking.message_id, now.message_id]
    assert actions.answer_now(user=user, generation=thinking) == now
    assert Generation.objects.count() == 2


def test_answer_now_moves_queued_prompts_below_the_new_answer():
    user = person()
    worker, first = claimed(user)
    conversation = Generation.objects.get().conversation
    key = uuid.uuid4()
    actions.send_message(user=user, content="And?", conversation=conversation, key=key)
    now = actions.answer_now(user=user, generation=Generation.objects.get(pk=first.generation_id))
    assert contents() == ["Why?", "", "And?", ""]
    assert shown_messages(Conversation.objects.get())[1] == now.message
    finish(worker.pk, first, Result(Status.STOPPED, "thought", ""), {})
    waiting = Generation.objects.get(key=key)
    assert claim(worker.pk, waiting.pk) is None
    assert claim(worker.pk, now.pk) is not None


def test_retrying_an_answer_without_thinking_does_not_think_either():
    user = person()
    now = actions.answer_now(user=user, generation=ended(user, Status.LENGTH, "thought", "").generation)
    worker = Worker.objects.create()
    finish(worker.pk, claim(worker.pk, now.pk), Result(Status.FAILED, "", "", "It failed."), {})
    again = actions.regenerate(user=user, message=now.message)
    assert (again.message, again.without_thinking) == (now.message, True)


def test_answer_now_does_not_change_a_generation_that_is_answering():
    user = person()
    claimed(user)
    Generation.objects.update(status=Status.ANSWERING)
    answering = Generation.objects.get()
    assert actions.answer_now(user=user, generation=answering) == answering
    assert not Generation.objects.get().stop_requested


def test_reasoning_that_ended_without_an_answer_can_be_answered_without_thinking():
    user = person()
    unanswered = ended(user, Status.LENGTH, "thought", "")
    now = actions.answer_now(user=user, generation=unanswered.generation)
    assert now.without_thinking
    assert now.message.parent == unanswered.parent


def test_cancelling_a_queued_prompt_deletes_it_and_its_answer():
    user = person()
    _, claim = claimed(user)
    conversation = Generation.objects.get().conversation
    second = queued(user, "And?", conversation)
    third = queued(user, "So?", conversation)
    assert actions.cancel(generation=second)[0] == "And?"
    assert contents() == ["Why?", "", "So?", ""]
    assert Generation.objects.filter(pk__in=[claim.generation_id, third.pk]).count() == Generation.objects.count() == 2
    assert actions.cancel(generation=third)[0] == "So?"
    assert contents() == ["Why?", ""]


def test_a_claimed_prompt_is_not_cancelled():
    claimed(person())
    assert actions.cancel(generation=Generation.objects.get()) is None
    assert contents() == ["Why?", ""]


def test_cancelling_the_only_prompt_deletes_its_conversation():
    generation = queued(person())
    assert actions.cancel(generation=generation)[0] == "Why?"
    assert not Conversation.objects.exists()
    assert not Message.objects.exists()


def test_cancelling_an_edited_prompt_shows_the_old_version_with_its_later_messages():
    user = person()
    answer = ended(user)
    follow_up = queued(user, "And?", answer.conversation)
    actions.stop(generation=follow_up)
    edited = actions.edit(user=user, prompt=answer.parent, content="Why not?")
    assert actions.cancel(generation=edited)[0] == "Why not?"
    assert contents() == ["Why?", "answer", "And?", ""]


def test_cancelling_another_version_or_a_continuation_keeps_the_earlier_text():
    user = person()
    answer = ended(user, Status.STOPPED)
    assert actions.cancel(generation=actions.regenerate(user=user, message=answer)) == ("", [])
    assert contents() == ["Why?", "answer"]
    assert actions.cancel(generation=actions.continue_answer(user=user, message=answer)) == ("", [])
    assert contents() == ["Why?", "answer"]
    assert Generation.objects.get().status == Status.STOPPED
