"""Addresses below /.well-known/."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from tests.factories import person


def test_security_txt_says_whom_to_tell_about_a_vulnerability(client: Client, settings):
    assert client.get("/.well-known/security.txt").status_code == 404
    settings.SECURITY_CONTACT = "mailto:security@example.org"
    response = client.get("/.well-known/security.txt")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ") for line in response.text.splitlines())
    assert fields["Contact"] == "mailto:security@example.org"
    expires = datetime.fromisoformat(fields["Expires"]) - datetime.now(UTC)
    assert timedelta(days=30) < expires < timedelta(days=366)  # RFC 9116, 2.5.5


@pytest.mark.django_db
def test_password_managers_find_the_page_to_change_a_password(client: Client):
    client.force_login(person())
    assert client.get("/.well-known/change-password").headers["Location"] == "/accounts/password/change/"
    assert client.get("/.well-known/change-password", follow=True).status_code == 200
    # They only trust the redirect if what does not exist is not found.
    missing = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert client.get(missing).status_code == 404
