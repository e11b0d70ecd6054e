"""What a conversation's page contains, for everyone and for some."""

import re

import pytest
from django.template.loader import render_to_string
from django.test import Client

from conversations.models import Conversation, Generation, Message, Status, User
from tests.factories import person, queued

pytestmark = pytest.mark.django_db
NAMES = re.compile(r'class="tool"[^>]*title="([^"]+)"')


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def owner(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def answered(user: User, question: str, conversation: Conversation | None = None) -> Message:
    message = queued(user, question, conversation).message
    Generation.objects.update(status=Status.COMPLETE)
    Message.objects.filter(pk=message.pk).update(content="Yes.")
    return message


def test_headings_number_the_questions_and_begin_with_their_words(owner: Client, ada: User):
    first = answered(ada, "Why is the sky\nblue?")
    answered(ada, "And " + "why " * 40, first.conversation)
    html = owner.get(first.conversation.get_absolute_url()).content.decode()
    headings = [" ".join(text.split()) for text in re.findall(r'<h2 [^>]*id="label-\d+">(.*?)</h2>', html, re.DOTALL)]
    assert headings == [
        "Question 1: Why is the sky blue?",
        "Answer 1",
        f"Question 2: {('And ' + 'why ' * 40)[:59].rstrip()}…",
        "Answer 2",
    ]


def test_tools_have_names_and_one_order(owner: Client, ada: User):
    message = answered(ada, "Why?")
    owner.post(f"/messages/{message.pk}/regenerate/")
    answered(ada, "And then?", message.conversation)  # ends the second version too
    Message.objects.filter(role="assistant").update(content="Yes.")
    html = owner.get(message.conversation.get_absolute_url()).content.decode()
    tools = ["Copy", "Regenerate", "Good answer", "Poor answer", "More"]
    assert NAMES.findall(html) == [*tools, "Previous version", "Next version", "Compare versions", *tools]


def test_without_a_script_another_version_is_shown_where_it_is(owner: Client, ada: User):
    message = answered(ada, "Why?")
    owner.post(f"/messages/{message.pk}/regenerate/")
    response = owner.post(f"/messages/{message.pk}/select/")
    path = message.conversation.get_absolute_url()
    assert response["Location"] == f"{path}?message={message.pk}#message-{message.pk}"
    assert owner.post(f"/messages/{message.pk}/select/", headers={"HX-Request": "true"}).status_code == 204


@pytest.mark.parametrize(("is_staff", "shown"), [(True, True), (False, False)])
@pytest.mark.parametrize("name", ["_local_model", "_no_endpoint"])
def test_only_staff_see_the_lines_for_the_settings(name: str, is_staff: bool, shown: bool):
    html = render_to_string(f"conversations/{name}.html", {"user": User(is_staff=is_staff)})
    assert ("OPENAI_BASE_URL" in html) == shown
