"""Which responses browsers may keep, and what people see during an outage of the database."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from tests.factories import person, queued

pytestmark = pytest.mark.django_db


def test_browsers_do_not_store_what_a_signed_in_person_sees(client: Client):
    ada = person()
    generation = queued(ada)
    conversation = generation.conversation.get_absolute_url()
    answer = f"/messages/{generation.message_id}"
    pages = ["/", "/conversations/", conversation, f"{answer}/details/", f"{answer}/reasoning/", f"{answer}/text/"]
    pages += ["/search/?q=why", "/preferences/", "/reviews/", "/accounts/email/", "/nowhere/", "/privacy/"]
    client.force_login(ada)
    for page in pages:
        assert "no-store" in client.get(page).headers.get("Cache-Control", ""), page
    assert "no-store" in client.post(f"{conversation}rename/", {"title": "Other"}).headers["Cache-Control"]
    client.logout()
    assert "Cache-Control" not in client.get("/privacy/").headers


def test_responses_that_are_the_same_for_everyone_may_be_stored(client: Client):
    client.force_login(person())
    assert "Cache-Control" not in client.get("/healthz").headers


def fail_as_locked(execute: Callable[..., Any], *arguments: Any) -> None:
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raise OperationalError(*locked.args) from locked


def test_while_sessions_cannot_be_read_pages_say_that_the_site_is_unavailable(client: Client):
    client.force_login(person())
    for path in ("/", "/preferences/", "/accounts/login/", "/accounts/2fa/", "/admin/"):
        with connection.execute_wrapper(fail_as_locked):
            response = client.get(path)
        assert response.status_code == 503, path
        assert "Temporarily unavailable" in response.text
    assert client.get("/").status_code == 200
