"""Queries that are compiled once give what the query sets they are written as give."""

from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from conversations.models import Conversation, Generation, Message, Role
from conversations.models.prepared import prepared, prepared_update
from tests.factories import person, queued

pytestmark = pytest.mark.django_db


@prepared
def owned(user: Any, conversation: Any) -> QuerySet:
    return Conversation.objects.visible_to(user).filter(pk=conversation)


@prepared
def among(messages: Any) -> QuerySet:
    return Generation.objects.filter(message__in=messages).order_by("pk").values_list("pk", "conversation", "status")


@prepared
def without_reasoning(pk: Any) -> QuerySet:
    return Message.objects.filter(pk=pk).defer("reasoning")


def test_rows_are_models_as_django_makes_them():
    ada, conversation = person(), queued(person("bob")).conversation
    [found] = owned(conversation.owner_id, conversation.pk)
    assert (found.pk, found.title, found.updated_at) == (
        conversation.pk,
        "Why?",
        Conversation.objects.get(pk=conversation.pk).updated_at,
    )
    assert owned(ada.pk, conversation.pk) == []


def test_values_are_converted():
    generation = queued(person())
    assert among([generation.message_id]) == [(generation.pk, generation.conversation_id, "queued")]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 8])
def test_a_list_may_have_any_length(number: int):
    generations = [queued(person(f"user{n}")) for n in range(8)]
    asked = generations[:number]
    assert [pk for pk, *_ in among([generation.message_id for generation in asked])] == [g.pk for g in asked]


def test_what_is_deferred_is_read_when_it_is_asked_for():
    message = queued(person()).message
    Message.objects.filter(pk=message.pk).update(reasoning="because")
    [found] = without_reasoning(message.pk)
    assert found.get_deferred_fields() == {"reasoning"}
    assert found.reasoning == "because"


@prepared_update
def write(message: Any, columns: Any) -> tuple[QuerySet, dict]:
    return Message.objects.filter(pk=message, role=Role.ASSISTANT), columns


def test_an_update_writes_any_columns_and_tells_to_how_many_rows():
    generation = queued(person())
    answer, then = generation.message, timezone.now()
    other = queued(person("bob")).conversation
    assert write(answer.pk, {"content": "Because.", "created_at": then, "conversation": other}) == 1
    assert write(answer.parent_id, {"content": "Because."}) == 0
    answer.refresh_from_db()
    assert (answer.content, answer.created_at, answer.conversation) == ("Because.", then, other)
    assert write(answer.pk, {"parent": None}) == 1
    assert Message.objects.get(pk=answer.pk).parent is None


@prepared_update
def note(generation: Any, columns: Any) -> tuple[QuerySet, dict]:
    return Generation.objects.filter(pk=generation), columns


def test_an_update_writes_json():
    generation = queued(person())
    for request in ({"model": "test-model", "messages": [1, "two"]}, None):
        assert note(generation.pk, {"request": request}) == 1
        generation.refresh_from_db()
        assert generation.request == request
