"""Opening a conversation with a thousand messages costs no more than opening one with thirty."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from conversations.models import Conversation, Generation, Message, Role, Status, User
from conversations.rendering.fragments import PAGE
from tests.factories import person, shown_messages
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
            conversation=conversation,
            parent=prompt,
            role=Role.ASSISTANT,
            content=f"Answer **{number}**.",
            reasoning=f"Thought {number}.",
            reasoning_words=2,
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


def test_reasoning_is_not_loaded_with_the_page(reader: Client, user: User):
    conversation = conversation_of(user, 3)
    with CaptureQueriesContext(connection) as queries:
        html = reader.get(conversation.get_absolute_url()).text
    assert html.count(">2 words<") == html.count("Read the reasoning") == 3
    assert "Thought 2." not in html
    assert not any('"conversations_message"."reasoning"' in query["sql"] for query in queries)
    answer = shown_messages(conversation)[-1]
    assert "Thought 2." in reader.get(f"/messages/{answer.pk}/reasoning/").text


def test_uncounted_words_are_counted_with_one_more_query(
    reader: Client, user: User, django_assert_num_queries: DjangoAssertNumQueries
):
    conversation = conversation_of(user, 3)
    page = conversation.get_absolute_url()
    with CaptureQueriesContext(connection) as plain:
        counted = reader.get(page).text
    Message.objects.update(reasoning_words=None)
    with django_assert_num_queries(len(plain) + 1):
        html = reader.get(page).text
    assert html.count(">2 words<") == counted.count(">2 words<") == 3


def test_versions_and_continuations_need_no_more_queries(
    reader: Client, user: User, django_assert_num_queries: DjangoAssertNumQueries
):
    conversation = conversation_of(user, turns=3)
    page = conversation.get_absolute_url()
    with CaptureQueriesContext(connection) as plain:
        reader.get(page)
    prompt, answer, *_ = shown_messages(conversation)
    Message.objects.create(conversation=conversation, role=Role.USER, content="Another first question?")
    Message.objects.create(conversation=conversation, parent=prompt, role=Role.ASSISTANT, content="Another answer.")
    Generation.objects.create(
        message=answer, conversation=conversation, owner=user, status=Status.COMPLETE, joined_at=6
    )
    with django_assert_num_queries(len(plain)):
        html = reader.get(page).text
    assert html.count("1 / 2") == 2
    assert html.count('aria-label="Continued here"') == 1


def test_paging_back_shows_every_message(reader: Client, user: User):
    conversation = conversation_of(user, 40)
    seen, query = [], ""
    for headers in ({}, {"HX-Request": "true"}, {}):
        page = reader.get(conversation.get_absolute_url() + query, headers=headers).content.decode()
        seen = shown(page) + seen
        query = page.partition(f'href="{conversation.get_absolute_url()}?before=')[2].partition('"')[0]
        query = query and f"?before={query}"
    assert (seen, query) == (list(range(40)), "")


def test_a_short_conversation_has_no_link_to_earlier_messages(reader: Client, user: User):
    page = reader.get(conversation_of(user, PAGE // 2).get_absolute_url()).content.decode()
    assert len(shown(page)) == PAGE // 2
    assert 'class="earlier"' not in page


def test_a_link_to_a_message_opens_the_page_around_it(
    reader: Client, user: User, django_assert_max_num_queries: DjangoAssertNumQueries
):
    conversation = conversation_of(user, 100)
    address = conversation.get_absolute_url()
    asked = {message.content: message.pk for message in conversation.messages.filter(role=Role.USER)}

    def page_with(number: int) -> str:
        with django_assert_max_num_queries(11):
            return reader.get(address, {"message": asked[f"Question {number}?"]}).content.decode()

    page = page_with(50)
    assert shown(page) == list(range(43, 58)), "the page is not centred on the message"
    later = page.partition(f'href="{address}?message=')[2].partition("#")[0]
    assert int(later) == asked["Question 58?"] - 1  # the answer before it is the last one of this page
    assert reader.get(address, {"message": asked["Question 99?"]}).headers["Location"] == address
    assert shown(page_with(0)) == list(range(8))


def test_a_link_to_a_message_in_another_branch_opens_that_branch(reader: Client, user: User):
    conversation = conversation_of(user, 40)
    address = conversation.get_absolute_url()
    old = conversation.messages.get(content="Question 39?")
    conversation.leaf = Message.objects.create(
        conversation=conversation, role=Role.USER, content="Another first question"
    )
    conversation.save()
    page = reader.get(address, {"message": old.pk}).content.decode()
    assert f'id="message-{old.pk}"' in page
    assert "Another first question" not in page
    earlier = page.partition(f'href="{address}?before=')[2].partition('"')[0]
    assert shown(reader.get(address, {"before": earlier}).content.decode()) == list(range(10, 25))


@pytest.mark.parametrize("parameter", ["message", "before"])
@pytest.mark.parametrize("pk", ["0", "-1", "x", "9" * 30, "9" * 5_000])
def test_invalid_message_ids_are_not_an_error(reader: Client, user: User, parameter: str, pk: str):
    conversation = conversation_of(user, 1)
    assert reader.get(conversation.get_absolute_url(), {parameter: pk}).status_code in (200, 404)


def test_a_message_of_another_conversation_is_not_found(reader: Client, user: User):
    conversation, other = conversation_of(user, 1), conversation_of(person("bob"), 1)
    assert reader.get(conversation.get_absolute_url(), {"message": other.leaf_id}).status_code == 404


BRANCHES = """
from conversations.models import *
from tests.test_long_conversation import conversation_of
user = User.objects.get(username="ada")
conversation = conversation_of(user, 20)
Message.objects.create(conversation=conversation, role="user", content="Another first question")
print(conversation.get_absolute_url())
"""


def test_a_page_is_reset_when_the_branch_changes_above_what_it_shows(site: Site, join: Callable[..., Person]):
    ada = join(site, "ada")
    conversation = site.manage("shell", "--no-imports", "-c", BRANCHES).stdout.split()[-1]
    page = ada.http.get(conversation).text
    query = page.partition(f'ws-connect="/ws{conversation}')[2].partition('"')[0].replace("&amp;", "&")
    [(other,)] = site.rows("select id from conversations_message where content = 'Another first question'")
    [(first,)] = site.rows("select id from conversations_message where content = 'Question 0?'")
    with ada.socket(conversation, query) as socket:
        assert "message-" not in socket.recv(timeout=60)  # it shows all messages
        ada.post(f"/messages/{other}/select/")
        frame = socket.recv(timeout=60)
        assert '<div id="messages" hx-swap-oob="innerHTML"></div>' in frame
        assert "Another first question" in frame
        ada.post(f"/messages/{first}/select/")
        frame = socket.recv(timeout=60)
        assert 'class="earlier"' in frame
        while 19 not in shown(frame):  # in frames of limited size
            frame += socket.recv(timeout=60)
        assert shown(frame) == list(range(5, 20))
