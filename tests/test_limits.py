"""What one user may have: so many questions that wait, and so much stored text."""

import uuid
from importlib import import_module

import pytest
from django.db import connection
from django.test import Client

from conversations import actions, limits
from conversations.generation.commit import claim
from conversations.models import Generation, Message, Status, StoredText, User, Worker
from tests import at_limits
from tests.factories import person, queued
from tests.site import run_module

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return person()


@pytest.fixture
def reader(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def fill_queue(user: User) -> list[Generation]:
    return [queued(user, f"Question {number}") for number in range(limits.QUEUED_PROMPTS)]


def test_only_so_many_questions_wait(user: User):
    key = uuid.uuid4()
    first = actions.send_message(user=user, content="Why?", key=key)
    waiting = [queued(user, "And?", first.conversation) for _ in range(limits.QUEUED_PROMPTS - 1)]
    before = Message.objects.count()
    for conversation in (None, first.conversation):
        with pytest.raises(actions.Refused, match="You already have 10 questions waiting"):
            queued(user, "One more?", conversation)
    assert Message.objects.count() == before
    assert actions.send_message(user=user, content="Why?", key=key) == first
    edited = actions.edit(user=user, prompt=waiting[-1].message.prompt, content="Or?")
    assert edited.status == Status.QUEUED  # it takes the place of the one that it stops
    with pytest.raises(actions.Refused):
        queued(user)
    queued(person("bob"))
    assert claim(Worker.objects.create().pk, first.pk)
    assert queued(user)


def test_a_regenerated_answer_takes_a_place_too(user: User):
    stopped = queued(user)
    actions.stop(generation=stopped)
    fill_queue(user)
    with pytest.raises(actions.Refused, match="10 questions"):
        actions.regenerate(user=user, message=stopped.message)
    stopped.refresh_from_db()
    assert stopped.status == Status.STOPPED


def test_the_page_says_why_and_keeps_the_text(reader: Client, user: User):
    conversation = fill_queue(user)[-1].conversation
    urls = ("/conversations/", f"{conversation.get_absolute_url()}messages/")
    for url in urls:
        refused = reader.post(url, {"content": "One more?"}, headers={"HX-Request": "true"})
        assert refused.status_code == 422
        assert "Cancel one, or wait" in refused.text
        page = reader.post(url, {"content": "One more?"}, follow=True)  # without JavaScript
        assert "Cancel one, or wait" in page.text
        assert ">One more?</textarea>" in page.text
    assert not Message.objects.filter(content="One more?").exists()


def test_stored_text_is_limited_and_deletion_makes_room(reader: Client, user: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "STORED_BYTES", 3_000_000)
    first = queued(user, "字" * 200_000)
    queued(user, "字" * 200_000)
    refused = reader.post("/conversations/", {"content": "é" * 900_001}, headers={"HX-Request": "true"})
    assert "characters" in refused.text  # the form's own limit
    with pytest.raises(actions.Refused, match=r"You've used 1\.2 MB of the 3\.0 MB"):
        queued(user, "é" * 900_001)
    with pytest.raises(actions.Refused, match="Delete conversations"):
        actions.edit(user=user, prompt=first.message.prompt, content="é" * 900_001)
    assert "1.2 MB of 3.0 MB" in reader.get("/preferences/").text
    actions.delete_at_once(conversation=first.conversation)
    assert queued(user, "é" * 900_001)


def test_an_answer_that_is_too_long_cannot_be_continued(reader: Client, user: User):
    generation = queued(user)
    actions.stop(generation=generation)
    limit = limits.CONTINUED_CHARACTERS
    Message.objects.filter(pk=generation.message_id).update(content="x" * limit, reasoning="y")
    page = reader.post(f"/messages/{generation.message_id}/continue/", follow=True)
    assert "This answer is too long to be continued. Ask for the rest" in page.text
    assert page.redirect_chain[-1][0] == generation.conversation.get_absolute_url()
    Message.objects.filter(pk=generation.message_id).update(reasoning="")
    assert actions.continue_answer(user=user, message=generation.message).joined_at == limit


def test_the_counted_size_is_that_of_the_messages():
    at_limits.check_stored_text()
    at_limits.check_imported_text()


def test_the_migration_counts_what_is_stored_already(user: User):
    queued(user, "é?")
    Message.objects.filter(role="assistant").update(content="字", reasoning="ab")
    StoredText.objects.all().delete()
    fill = import_module("conversations.migrations.0020_limits_of_users")
    with connection.cursor() as cursor:
        cursor.execute(fill.SQLITE[-1])
    assert StoredText.objects.get().bytes == 3 + 3 + 2


@pytest.mark.postgresql
def test_limits_hold_on_postgresql_too(postgresql_database: str):
    run_module("tests.at_limits", DATABASE_URL=postgresql_database)
