"""A page shows a limited amount of text. The rest is loaded on demand."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.models import Conversation, Generation, Message, Status, User
from conversations.models.message import PAGE_CHARACTERS
from conversations.page_state import PageState
from conversations.rendering import fragments, pool
from conversations.rendering.message_state import EXCERPT, PAGE_BYTES
from tests.factories import person
from tests.test_long_conversation import conversation_of

pytestmark = pytest.mark.django_db
CODE = "```\nx\n```\n"  # eleven times as long in HTML
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True, scope="module")
def _rendering_processes() -> Iterator[None]:
    yield
    pool.close()


@pytest.fixture
def user() -> User:
    return person()


@pytest.fixture
def reader(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def conversation_with(user: User, *, turns: int, **fields: Any) -> Conversation:
    """Return a conversation of so many turns whose last answers have these contents."""
    conversation = conversation_of(user, turns)
    conversation.messages.filter(role="assistant").update(**fields)
    return conversation


def beginnings(html: str) -> list[int]:
    """Return the ids of the messages of which only the beginning is shown."""
    return [int(pk) for pk in re.findall(r'class="whole" href="/messages/(\d+)/whole/"', html)]


def test_a_page_of_costly_answers_is_small_and_loads_the_rest_on_demand(reader: Client, user: User):
    conversation = conversation_with(user, turns=8, content=CODE * 19_800)
    ids = list(conversation.messages.filter(role="assistant").order_by("pk").values_list("pk", flat=True))
    html = reader.get(conversation.get_absolute_url()).text
    assert len(html) < 2 * PAGE_BYTES
    assert beginnings(html) == ids
    link = re.search(rf'<a class="whole" [^>]*messages/{ids[0]}/[^>]*>', html)[0]
    assert f'hx-target="#finalised-{ids[0]}"' in link
    whole = reader.get(f"/messages/{ids[0]}/whole/", headers=HTMX).text
    assert whole.startswith("<")
    assert whole.count("<code") == 19_800
    page = reader.get(f"/messages/{ids[0]}/whole/").text  # without JavaScript
    assert whole in page
    assert "Back to the conversation" in page


def test_answers_that_fit_are_shown_and_older_ones_begin(reader: Client, user: User):
    conversation = conversation_with(user, turns=9, content="word **bold** " * 6_000)
    ids = list(conversation.messages.filter(role="assistant").order_by("pk").values_list("pk", flat=True))
    html = reader.get(conversation.get_absolute_url()).text
    found = beginnings(html)
    assert found == ids[: len(found)]
    assert 0 < len(found) < 9
    assert html.count("<strong>") == 6_000 * (9 - len(found)) + len(found) * (EXCERPT // 14)


def test_long_questions_are_shortened_too(reader: Client, user: User):
    conversation = conversation_of(user, 15)
    conversation.messages.filter(role="user").update(content="<é>" * 30_000)
    html = reader.get(conversation.get_absolute_url()).text
    found = beginnings(html)
    assert 0 < len(found) < 15
    assert "Show the whole question" in html
    assert reader.get(f"/messages/{found[0]}/whole/", headers=HTMX).text == "&lt;é&gt;" * 30_000
    assert "&lt;é&gt;" * 30_000 in reader.get(f"/messages/{found[0]}/whole/").text


def test_only_the_beginning_of_a_long_answer_is_loaded(reader: Client, user: User, monkeypatch: pytest.MonkeyPatch):
    conversation = conversation_with(user, turns=1, content="a" * 3 * PAGE_CHARACTERS)
    answer = conversation.messages.last()
    tree = conversation.tree()
    [shown] = conversation.read(tree, [answer.pk], whole=())
    assert len(shown.content) == PAGE_CHARACTERS + 1
    [shown] = conversation.read(tree, [answer.pk], whole=[answer.pk])
    assert len(shown.content) == 3 * PAGE_CHARACTERS
    Generation.objects.filter(message=answer).update(status=Status.QUEUED)
    [shown] = conversation.read(tree, [answer.pk], whole=())
    assert len(shown.content) == 3 * PAGE_CHARACTERS  # it is continued


def test_short_messages_need_no_more_queries_than_before(reader: Client, user: User):
    conversation = conversation_of(user, 5)
    with CaptureQueriesContext(connection) as queries:
        list(conversation.read(conversation.tree(), conversation.tree().path_to(conversation.leaf_id), whole=()))
    assert len(queries) == 4  # the tree twice, generations, messages


def test_a_page_that_connects_late_gets_no_more_than_a_page_that_is_loaded(reader: Client, user: User):
    conversation = conversation_with(user, turns=8, content=CODE * 8_000)
    page = PageState(conversation.pk, {})
    frames = page.apply(page.read(user.pk))
    html = reader.get(conversation.get_absolute_url()).text
    assert beginnings("".join(frames)) == beginnings(html) != []
    assert sum(map(len, frames)) < 2 * PAGE_BYTES


def test_long_text_of_a_live_answer_is_left_to_its_own_pages(reader: Client, user: User):
    conversation = conversation_with(user, turns=1, content="", reasoning="")
    generation = Generation.objects.get()
    Generation.objects.update(status=Status.ANSWERING, slot=0)
    for sequence, (kind, text) in enumerate((("reasoning", "Hm. " * 50_000), ("answer", "Yes. " * 50_000))):
        generation.chunks.create(attempt=1, sequence=sequence, kind=kind, text=text)
    html = reader.get(conversation.get_absolute_url()).text
    assert len(html) < 50_000
    assert beginnings(html) == [generation.message_id]
    assert "Read the reasoning" in html
    assert reader.get(f"/messages/{generation.message_id}/whole/", headers=HTMX).text.count("Yes.") == 50_000
    assert reader.get(f"/messages/{generation.message_id}/reasoning/", headers=HTMX).text.count("Hm.") == 50_000


def test_a_stranger_gets_no_text(reader: Client):
    conversation = conversation_of(person("bob"), 1)
    message = Message.objects.filter(conversation=conversation).last()
    assert reader.get(f"/messages/{message.pk}/whole/").status_code == 404


def test_a_read_only_page_shows_all():
    conversation = conversation_with(person(), turns=2, content="a" * 2 * PAGE_CHARACTERS)
    tree = conversation.tree()
    thread = conversation.read(tree, tree.path_to(conversation.leaf_id))
    assert not any(state.whole_url for _, state in fragments.entries(thread, readonly=True))
