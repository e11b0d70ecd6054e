"""A conversation of a thousand messages costs no more to open than one of thirty."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from conversations.models import Conversation, Generation, Message, Role, Status, User
from conversations.rendering.fragments import PAGE
from tests.factories import person
from tests.site import Person, Site

pytestmark = pytest.mark.django_db


def conversation_of(user: User, turns: int) -> Conversation:
    conversation = Conversation.objects.create(owner=user, title="Long")
    parent = None
    for number in range(turns):
        prompt = Message.objects.create(
            conversation=conversation, parent=parent, role=Role.USER, content=f"Question {number}?"
        )
        parent = Message.objects.create(
            conversation=conversation, parent=prompt, role=Role.ASSISTANT, content=f"Answer **{number}**."
        )
        Generation.objects.create(message=parent, conversation=conversation, owner=user, status=Status.COMPLETE)
    conversation.leaf = parent
    conversation.save()
    return conversation


@pytest.fixture
def user() -> User:
    return person()


@pytest.fixture
def reader(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def shown(html: str) -> list[int]:
    return [number for number in range(1_000) if f"Question {number}?" in html]


def test_a_page_shows_the_newest_messages_in_few_queries(
    reader: Client, user: User, django_assert_max_num_queries: DjangoAssertNumQueries
):
    conversation = conversation_of(user, 500)
    with django_assert_max_num_queries(11):
        page = reader.get(conversation.get_absolute_url()).content.decode()
    assert shown(page) == list(range(500 - PAGE // 2, 500))


def test_versions_and_parts_cost_no_query_more(
    reader: Client, user: User, django_assert_num_queries: DjangoAssertNumQueries
):
    conversation = conversation_of(user, turns=3)
    page = conversation.get_absolute_url()
    with CaptureQueriesContext(connection) as plain:
        reader.get(page)
    prompt, answer, *_ = conversation.thread()
    Message.objects.create(conversation=conversation, role=Role.USER, content="Another first question?")
    Message.objects.create(conversation=conversation, parent=prompt, role=Role.ASSISTANT, content="Another answer.")
    Generation.objects.create(
        message=answer, conversation=conversation, owner=user, status=Status.COMPLETE, joined_at=6
    )
    with django_assert_num_queries(len(plain)):
        html = reader.get(page).text
    assert html.count("1 / 2") == 2
    assert html.count('aria-label="Continued here"') == 1


def test_every_message_is_found_on_the_way_back(reader: Client, user: User):
    conversation = conversation_of(user, 40)
    seen, query = [], ""
    for headers in ({}, {"HX-Request": "true"}, {}):
        page = reader.get(conversation.get_absolute_url() + query, headers=headers).content.decode()
        seen = shown(page) + seen
        query = page.partition(f'href="{conversation.get_absolute_url()}?before=')[2].partition('"')[0]
        query = query and f"?before={query}"
    assert (seen, query) == (list(range(40)), "")


def test_a_short_conversation_has_nothing_earlier(reader: Client, user: User):
    page = reader.get(conversation_of(user, PAGE // 2).get_absolute_url()).content.decode()
    assert len(shown(page)) == PAGE // 2
    assert 'class="earlier"' not in page


BRANCHES = """
from conversations.models import *
from tests.test_long_conversation import conversation_of
user = User.objects.get(username="ada")
conversation = conversation_of(user, 20)
Message.objects.create(conversation=conversation, role="user", content="Another beginning")
print(conversation.get_absolute_url())
"""


def test_a_page_begins_anew_when_the_thread_changes_above_what_it_shows(site: Site, join: Callable[..., Person]):
    ada = join(site, "ada")
    conversation = site.manage("shell", "--no-imports", "-c", BRANCHES).stdout.split()[-1]
    page = ada.http.get(conversation).text
    query = page.partition(f'ws-connect="/ws{conversation}')[2].partition('"')[0].replace("&amp;", "&")
    [(other,)] = site.rows("select id from conversations_message where content = 'Another beginning'")
    [(first,)] = site.rows("select id from conversations_message where content = 'Question 0?'")
    with ada.socket(conversation, query) as socket:
        assert "message-" not in socket.recv(timeout=30)  # it shows all there is
        ada.post(f"/messages/{other}/select/")
        frame = socket.recv(timeout=30)
        assert '<div id="messages" hx-swap-oob="innerHTML"></div>' in frame
        assert "Another beginning" in frame
        ada.post(f"/messages/{first}/select/")
        frame = socket.recv(timeout=30)
        assert 'class="earlier"' in frame
        assert shown(frame) == list(range(5, 20))
