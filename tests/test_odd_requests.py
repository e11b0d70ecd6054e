"""Requests that no page of the site sends get a response that says so, not an error of the site."""

import uuid

import pytest
from django.test import Client

from conversations.models import Conversation, User
from conversations.views import preferences
from tests.factories import person, queued
from tests.site import people

pytestmark = pytest.mark.django_db
NOT_A_URL = "//["
TOO_LARGE = 10**30  # for a column of the database
NUL_COOKIE = '"\\000aaaaaaaaaaa"'  # as Python reads quoted cookies


@pytest.fixture
def conversation(client: Client) -> Conversation:
    ada = person()
    client.force_login(ada)
    return queued(ada).conversation


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"])
def test_a_next_page_that_is_no_address_is_ignored(client: Client, path: str):
    assert client.get(path, {"next": NOT_A_URL}).status_code == 200


@pytest.mark.parametrize(("there", "expected"), [("foo", "foo"), (NOT_A_URL, ""), ("//other.example", "")])
def test_a_form_redirects_within_the_site_alone(client: Client, conversation: Conversation, there: str, expected: str):
    page = conversation.get_absolute_url()
    response = client.post(f"{page}archive/", {"archived": "1", "next": there})
    assert (response.status_code, response.headers["Location"]) == (302, expected or page)


def test_a_page_that_is_no_address_is_none_of_a_conversation(client: Client, conversation: Conversation):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://[x"}
    response = client.post(f"{conversation.get_absolute_url()}delete/", headers=headers)
    assert response.status_code < 400
    assert not Conversation.objects.exists()


def test_numbers_that_no_message_has_are_not_found(client: Client, conversation: Conversation):
    assert client.get(f"/messages/{conversation.leaf_id}/compare/{TOO_LARGE}/").status_code == 404


def test_a_change_of_preferences_changes_nothing_else(
    client: Client, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
):
    """The person was loaded before: somebody else may have changed the row since."""

    class Form(preferences.ThemeForm):
        def is_valid(self) -> bool:
            User.objects.update(is_active=False, password="!")
            return super().is_valid()

    monkeypatch.setattr(preferences, "ThemeForm", Form)
    client.post("/preferences/theme/", {"theme": "dark"})
    ada = User.objects.get()
    assert (ada.theme, ada.is_active, ada.password) == ("dark", False, "!")


@pytest.mark.postgresql
def test_a_cookie_with_a_nul_is_ignored(make_site, postgresql_database: str):
    site = make_site(postgresql_database)
    [ada] = people(site, 1)
    with ada.http as http:
        http.cookies.clear()
        for path in ("/", "/accounts/login/", "/shared/abc/"):
            assert http.get(path, headers={"Cookie": f"sessionid={NUL_COOKIE}"}).status_code in (200, 302, 404)
        socket = f"/ws/conversations/{uuid.uuid4()}/"
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": site.url}
        assert http.get(socket, headers=upgrade | {"Cookie": f"sessionid={NUL_COOKIE}"}).status_code == 403
    assert not [line for line in site.lines if "ERROR" in line]
