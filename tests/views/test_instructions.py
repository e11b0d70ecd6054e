"""The pages of instructions: forms that work without a script, and keep what was typed."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.actions import save_instructions
from conversations.models import Conversation, Instructions, User
from conversations.models.instructions import INSTRUCTIONS_CHARACTERS
from tests.factories import person, queued

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return person()


@pytest.fixture
def conversation(user: User) -> Conversation:
    return queued(user).conversation


@pytest.fixture
def reader(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def test_instructions_for_all_conversations_are_saved_in_the_preferences(reader: Client):
    page = reader.post("/preferences/instructions/", {"content": "Be brief.\r\n<b>"}, follow=True).text
    assert "Instructions saved." in page
    assert "Be brief.\n&lt;b&gt;</textarea>" in page
    assert "8,000 characters at most" in page
    page = reader.post("/preferences/instructions/", {"content": " "}, follow=True).text
    assert "Instructions removed." in page
    assert "Be brief." not in page


def test_saving_preferences_leaves_instructions_alone(reader: Client, user: User):
    save_instructions(user=user, content="Be brief.")
    reader.post("/preferences/", {"theme": "dark", "reasoning": "never"})
    assert "Be brief.</textarea>" in reader.get("/preferences/").text


def test_a_conversation_with_instructions_says_so(reader: Client, conversation: Conversation):
    address = conversation.get_absolute_url()
    assert "This conversation has instructions" not in reader.get(address).text
    assert f'href="{address}instructions/"' in reader.get(address).text  # in its menu
    page = reader.post(f"{address}instructions/", {"content": "In verse."}, follow=True).text
    assert "Instructions saved." in page
    assert "This conversation has instructions." in page
    assert "In verse.</textarea>" in reader.get(f"{address}instructions/").text
    page = reader.post(f"{address}instructions/", {"content": ""}, follow=True).text
    assert "This conversation has instructions" not in page


@pytest.mark.parametrize("place", ["preferences", "conversation"])
def test_a_text_that_is_too_long_is_kept_with_the_reason(reader: Client, conversation: Conversation, place: str):
    paths = {"preferences": "/preferences/", "conversation": conversation.get_absolute_url()}
    path = f"{paths[place]}instructions/"
    at_limit = "line\r\n" * (INSTRUCTIONS_CHARACTERS // 5 - 1) + "12345"
    assert reader.post(path, {"content": at_limit}).status_code == 302
    response = reader.post(path, {"content": f"{at_limit}6"})
    assert response.status_code == 422
    assert "The instructions have 8001 characters. Shorten them to 8000 or fewer." in response.text
    assert "The instructions have 8001 characters. Shorten them to 8000 or fewer." in response.text
    assert "123456</textarea>" in response.text
    assert Instructions.objects.count() == 1


def test_a_refusal_is_shown_and_the_text_kept(reader: Client, monkeypatch):
    monkeypatch.setattr("conversations.limits.STORED_BYTES", 1)
    page = reader.post("/preferences/instructions/", {"content": "Be brief."}).text
    assert "does not fit" in page
    assert "Be brief.</textarea>" in page


def test_strangers_get_404(client: Client, conversation: Conversation, user: User):
    save_instructions(user=user, content="In verse.", conversation=conversation)
    client.force_login(person("eve"))
    path = f"{conversation.get_absolute_url()}instructions/"
    assert client.get(path).status_code == 404
    assert client.post(path, {"content": "Be rude."}).status_code == 404
    client.logout()
    for address in (path, "/preferences/instructions/"):
        assert client.post(address, {"content": "Be rude."}).headers["Location"].startswith("/accounts/login/")
    assert Instructions.objects.get().content == "In verse."


def test_a_page_with_instructions_needs_no_more_queries(reader: Client, conversation: Conversation, user: User):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            reader.get(conversation.get_absolute_url())
        return len(queries)

    before = count()
    save_instructions(user=user, content="Be brief.")
    save_instructions(user=user, content="In verse.", conversation=conversation)
    assert count() == before
