"""The meter above a conversation's end: the same on a page that is loaded and on one that stays open."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations import actions
from conversations.generation import commit
from conversations.inference.chunks import Usage
from conversations.models import Conversation, Generation, Status, User, Worker
from conversations.page_state import PageState
from tests.endpoint import Endpoint, Exchange
from tests.factories import person, queued
from tests.models import model, registry

pytestmark = pytest.mark.django_db
METER = re.compile(r'<p class="context-use"[^>]*>.*?</p>', re.DOTALL)


@pytest.fixture(autouse=True)
def _model(settings):
    settings.MODELS = registry(model(context_tokens=1_000))


@pytest.fixture
def user() -> User:
    return person()


@pytest.fixture
def reader(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def answer(generation: Generation, prompt_tokens: int | None, status: Status = Status.COMPLETE, **fields: Any) -> None:
    worker = Worker.objects.create()
    claim = commit.claim(worker.pk, generation.pk)
    used = Usage(prompt_tokens, None, 10) if prompt_tokens else Usage()
    result = commit.Result(status, "", "Yes.", usage=used)
    assert commit.finish(worker.pk, claim, result, fields)


def meter(html: str) -> str:
    [found] = METER.findall(html)
    return found.replace(' hx-swap-oob="true"', "")


def loaded(reader: Client, conversation: Conversation) -> str:
    return meter(reader.get(conversation.get_absolute_url()).text)


def sent(state: PageState, user: User) -> list[str]:
    """Return the meters that an open page is sent."""
    return [meter(found) for frame in state.apply(state.read(user.pk)) for found in METER.findall(frame)]


def test_an_open_page_shows_the_meter_of_a_fresh_load(reader: Client, user: User):
    generation = queued(user, "Why? " * 20)
    conversation = generation.conversation
    assert "About 5% of the context used." in loaded(reader, conversation)
    state = PageState(conversation.pk, {})
    assert sent(state, user) == [loaded(reader, conversation)]
    answer(generation, 110)
    assert sent(state, user) == [loaded(reader, conversation)]
    assert "12% of the context used." in loaded(reader, conversation)
    assert "About" not in loaded(reader, conversation)
    again = queued(user, "And?", conversation)
    assert sent(state, user) == []
    answer(again, 840)
    assert sent(state, user) == [loaded(reader, conversation)]
    assert "85% of the context used. Older messages will soon no longer be sent" in loaded(reader, conversation)
    actions.select(message=generation.message)
    other = actions.regenerate(user=user, message=generation.message)
    assert sent(state, user) == []
    answer(other, 200)
    assert sent(state, user) == [loaded(reader, conversation)]


def test_a_failed_answer_leaves_the_meter_as_it_is(reader: Client, user: User):
    generation = queued(user)
    answer(generation, 110)
    before = loaded(reader, generation.conversation)
    answer(queued(user, "And?", generation.conversation), None, Status.FAILED)
    assert loaded(reader, generation.conversation) == before


def test_another_branch_has_its_own_meter(reader: Client, user: User):
    generation = queued(user)
    answer(generation, 500)
    state = PageState(generation.conversation_id, {})
    sent(state, user)
    actions.edit(user=user, prompt=generation.message.prompt, content="How? " * 20)
    assert sent(state, user) == [loaded(reader, generation.conversation)]
    assert "About 5%" in loaded(reader, generation.conversation)


def test_a_new_conversation_and_one_without_a_model_have_no_meter(reader: Client, user: User, settings):
    assert METER.findall(reader.get("/").text) == []
    generation = queued(user)
    settings.MODELS = {}
    assert "%" not in loaded(reader, generation.conversation)


def test_the_meter_needs_no_more_queries(reader: Client, user: User):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            reader.get(generation.conversation.get_absolute_url())
        return len(queries)

    generation = queued(user)
    answer(generation, None)
    before = count()
    Generation.objects.update(prompt_tokens=110, answer_tokens=10)
    assert "12%" in loaded(reader, generation.conversation)
    assert count() == before


@pytest.mark.django_db(False)
def test_the_warning_comes_before_an_older_message_is_left_out(make_site, join, endpoint: Endpoint):
    async def respond(exchange: Exchange) -> None:
        await exchange.answer("word " * 30)
        size = sum(len(message["content"]) for message in exchange.body["messages"])
        await exchange.finish("stop", {"prompt_tokens": size // 5, "completion_tokens": 30})

    endpoint.respond = respond
    ada = join(make_site(CONTEXT_TOKENS=1_000), "ada")
    conversation, notices = "", []
    while len(notices) < 20:
        conversation = ada.ask("word " * 30, conversation)
        ada.await_end(conversation)
        notices.append(meter(ada.http.get(conversation).text).partition("used.")[2].partition("<")[0].strip())
        if "no longer" in notices[-1] and "soon" not in notices[-1]:
            break
    assert notices[0] == ""
    assert notices[-2] == "Older messages will soon no longer be sent to the model."
    assert notices[-1] == "Older messages are no longer sent to the model."
