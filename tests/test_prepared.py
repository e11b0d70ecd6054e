"""Prepared statements give what the querysets that they are written as give, or say that they cannot."""

import json
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from conversations.models import Conversation, Generation, Message, Role
from conversations.models.prepared import prepared, prepared_update
from tests import statements
from tests.factories import person, queued
from tests.site import run_module

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


def test_each_statement_of_the_project_gives_what_its_queryset_gives(caplog: pytest.LogCaptureFixture):
    assert set(statements.compare_all()) == set(statements.statements())
    assert not caplog.records  # all of them could be compiled


@pytest.mark.postgresql
def test_each_statement_of_the_project_gives_what_its_queryset_gives_on_postgresql(postgresql_database: str):
    done = run_module("tests.statements", DATABASE_URL=postgresql_database)
    assert "not prepared" not in done.stderr
    assert set(json.loads(done.stdout)) == set(statements.statements())


def test_rows_are_model_instances():
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


def test_deferred_fields_are_read_when_they_are_accessed():
    message = queued(person()).message
    Message.objects.filter(pk=message.pk).update(reasoning="because")
    [found] = without_reasoning(message.pk)
    assert found.get_deferred_fields() == {"reasoning"}
    assert found.reasoning == "because"


@prepared_update
def write(message: Any, columns: Any) -> tuple[QuerySet, dict]:
    return Message.objects.filter(pk=message, role=Role.ASSISTANT), columns


def test_an_update_writes_any_columns_and_returns_the_number_of_rows():
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


@prepared
def locked(pk: Any) -> QuerySet:
    return Conversation.objects.select_for_update().filter(pk=pk)


@pytest.mark.django_db(transaction=True)
def test_a_lock_needs_a_transaction():
    conversation = queued(person()).conversation
    with transaction.atomic():
        assert locked(conversation.pk) == [conversation]
    with pytest.raises(transaction.TransactionManagementError):
        locked(conversation.pk)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda found: found.select_related("owner"), "select_related"),
        (lambda found: found.prefetch_related("messages"), "prefetch_related"),
        (lambda found: found.distinct(), "distinct"),
        (lambda found: found[:1], "is_sliced"),
        (lambda found: found.union(found), "combinator"),
        (lambda found: found.annotate(number=Count("messages")), "group_by"),
        (lambda found: found.extra(select={"one": "1"}), "extra"),
    ],
)
def test_unsupported_querysets_are_rejected(change: Any, reason: str):
    statement = prepared(lambda pk: change(Conversation.objects.filter(pk=pk)))
    with pytest.raises(TypeError, match=reason):
        statement(1)


@pytest.mark.parametrize("argument", [None, 1.5, b"bytes", timezone.now().date(), {1}, (1, 2), Conversation(), [None]])
def test_unsupported_arguments_are_rejected(argument: Any):
    with pytest.raises(TypeError, match=r"arguments of type|argument"):
        owned(argument, 1)


def test_a_select_takes_no_columns():
    with pytest.raises(TypeError):
        owned({"title": "x"}, 1)
