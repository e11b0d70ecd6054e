"""Which responses browsers may keep."""

import pytest
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
