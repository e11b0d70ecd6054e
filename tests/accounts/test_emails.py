"""Where the links in emails lead, whatever the Host header of the request says."""

import re
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.test import Client

from conversations.models import User
from tests.factories import person

pytestmark = pytest.mark.django_db
ORIGINS = ["https://chat.example.org", "https://chat.example.com:8443"]


@pytest.fixture
def ada(settings) -> User:
    settings.ALLOWED_HOSTS = ["chat.example.org", "chat.example.com", "127.0.0.1"]
    settings.CSRF_TRUSTED_ORIGINS = ORIGINS
    return person()


def origins(client: Client, path: str, host: str, **fields: str) -> set[str]:
    """Return the origins of all links in the emails that a request causes."""
    mail.outbox.clear()
    client.post(path, fields, headers={"Host": host})
    found = set(re.findall(r"\w+://[^/\s]+", "\n".join(message.body for message in mail.outbox)))
    signatures = {message.body.split()[-1] for message in mail.outbox}
    assert signatures == {urlsplit(origin).netloc for origin in found}
    return found


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("chat.example.org", ORIGINS[0]),
        ("chat.example.org:6666", ORIGINS[0]),
        ("chat.example.com:6666", ORIGINS[1]),
        ("127.0.0.1:6666", ORIGINS[0]),
    ],
)
def test_links_in_emails_lead_to_the_sites_own_origin(client: Client, ada: User, host: str, origin: str):
    assert origins(client, "/accounts/password/reset/", host, email=ada.email) == {origin}
    assert origins(client, "/accounts/password/reset/", host, email="nobody@example.org") == {origin}
    password = {"password1": "correct horse 1 battery", "password2": "correct horse 1 battery"}
    assert origins(client, "/accounts/signup/", host, username="eve", email="eve@example.org", **password) == {origin}


def test_without_trusted_origins_links_lead_where_the_request_came_from(client: Client, ada: User, settings):
    settings.CSRF_TRUSTED_ORIGINS = []
    mail.outbox.clear()
    client.post("/accounts/password/reset/", {"email": ada.email}, headers={"Host": "127.0.0.1:8123"})
    assert "http://127.0.0.1:8123/accounts/password/reset/" in mail.outbox[0].body
