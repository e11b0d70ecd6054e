import uuid

import pytest

from conversations import actions
from conversations.generation.commit import End, finish
from conversations.models import Conversation, Generation, Message, Role, Status
from tests.factories import claimed, person, queued

pytestmark = pytest.mark.django_db


def test_a_prompt_is_stored_with_an_empty_answer_and_a_queued_generation():
    generation = actions.send_message(user=person(), content="Which is greater,\n9.11 or 9.8?")
    conversation = generation.conversation
    prompt, answer = conversation.thread()
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


def test_a_key_is_the_persons_own():
    key = uuid.uuid4()
    mine = actions.send_message(user=person("ada"), content="Why?", key=key)
    theirs = actions.send_message(user=person("bob"), content="Why?", key=key)
    assert mine.conversation != theirs.conversation


def test_prompts_follow_each_other_in_the_tree():
    user = person()
    first = queued(user)
    second = queued(user, "And?", first.conversation)
    first.conversation.refresh_from_db()
    assert [m.content for m in first.conversation.thread()] == ["Why?", "", "And?", ""]
    assert second.message.parent.parent == first.message


def test_a_queued_generation_is_stopped_at_once():
    generation = queued(person())
    actions.stop(generation=generation)
    generation.refresh_from_db()
    assert generation.status == Status.STOPPED
    assert generation.finished_at is not None


def test_a_running_generation_is_asked_to_stop():
    claimed(person())
    generation = Generation.objects.get()
    actions.stop(generation=generation)
    generation.refresh_from_db()
    assert (generation.status, generation.stop_requested) == (Status.THINKING, True)


def test_an_ended_generation_is_not_changed_by_stop():
    worker, claim = claimed(person())
    finish(worker.pk, claim, End(Status.COMPLETE, "", "answer"), {})
    actions.stop(generation=Generation.objects.get())
    generation = Generation.objects.get()
    assert (generation.status, generation.stop_requested) == (Status.COMPLETE, False)


def test_retrying_an_empty_answer_generates_it_in_its_place():
    user = person()
    worker, claim = claimed(user)
    finish(worker.pk, claim, End(Status.FAILED, "", "", "It failed."), {})
    message = Message.objects.get(pk=claim.message_id)
    again = actions.regenerate(user=user, message=message)
    assert again.message == message
    assert again.status == Status.QUEUED


def test_retrying_an_answer_with_text_keeps_it_and_puts_the_new_one_beside_it():
    user = person()
    worker, claim = claimed(user)
    finish(worker.pk, claim, End(Status.INTERRUPTED, "thought", "part", "It broke."), {})
    message = Message.objects.get(pk=claim.message_id)
    again = actions.regenerate(user=user, message=message)
    assert again.message != message
    assert again.message.parent == message.parent
    message.refresh_from_db()
    assert message.content == "part"
    assert Conversation.objects.get().thread()[-1] == again.message


def test_retrying_what_is_still_running_starts_nothing():
    user = person()
    _, claim = claimed(user)
    message = Message.objects.get(pk=claim.message_id)
    assert actions.regenerate(user=user, message=message).pk == claim.generation_id
    assert Generation.objects.count() == 1


def test_selecting_a_version_shows_it_with_what_followed():
    user = person()
    worker, claim = claimed(user)
    finish(worker.pk, claim, End(Status.COMPLETE, "", "first"), {})
    first = Message.objects.get(pk=claim.message_id)
    follow_up = queued(user, "And?", first.conversation)
    second = actions.regenerate(user=user, message=first).message
    conversation = Conversation.objects.get()
    assert conversation.thread()[-1] == second
    assert conversation.thread()[-1].versions == [first.pk, second.pk]
    actions.select(message=first)
    conversation.refresh_from_db()
    assert conversation.leaf == follow_up.message


def test_deleting_a_conversation_deletes_all_it_holds():
    user = person()
    claimed(user)
    kept = queued(user).conversation
    actions.delete(conversation=Conversation.objects.exclude(pk=kept.pk).get())
    assert list(Conversation.objects.all()) == [kept]
    assert Generation.objects.count() == 1
    assert Message.objects.count() == 2
