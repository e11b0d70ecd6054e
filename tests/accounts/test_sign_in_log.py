"""Sign-ins are logged, without what was entered as the username."""

import json
import logging

import pytest
from django.test import Client

from chatsite.logs import JsonFormatter, pseudonym
from conversations.models import User
from tests.factories import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return person()


def lines(client: Client, caplog: pytest.LogCaptureFixture, login: str, password: str) -> list[str]:
    caplog.clear()
    client.post("/accounts/login/", {"login": login, "password": password}, REMOTE_ADDR="192.0.2.1")
    return [record.getMessage() for record in caplog.records]


def test_successful_and_failed_sign_ins_are_logged(client: Client, ada: User, caplog):
    caplog.set_level(logging.INFO)
    user = f"user {pseudonym(ada.pk)} from 192.0.2.1"
    wrong = "sign-in refused, wrong username or password"
    assert lines(client, caplog, "hunter2", "wrong") == [f"{wrong}: no such user from 192.0.2.1"]
    assert lines(client, caplog, "ada@example.org", "wrong") == [f"{wrong}: {user}"]
    assert lines(client, caplog, "ada", "pw") == [f"signed in with a password: {user}"]
    client.logout()
    User.objects.update(is_active=False)
    assert lines(client, caplog, "ada", "pw") == [f"sign-in refused, the account is deactivated: {user}"]
    for _ in range(4):
        lines(client, caplog, "ada", "wrong")
    assert lines(client, caplog, "ada", "pw") == [f"sign-in refused, too many failed attempts: {user}"]


def test_json_lines_have_address_and_user_as_fields(client: Client, ada: User, caplog):
    formatted: list[dict[str, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: formatted.append(json.loads(JsonFormatter().format(record)))
    logging.getLogger("conversations.accounts").addHandler(handler)
    try:
        lines(client, caplog, "ada", "pw")
    finally:
        logging.getLogger("conversations.accounts").removeHandler(handler)
    [line] = formatted
    assert (line["address"], line["user"]) == ("192.0.2.1", pseudonym(ada.pk))
