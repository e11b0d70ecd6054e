"""The page of API tokens: create, show once, list, revoke."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from conversations.accounts import api_tokens
from conversations.models import ApiToken, User
from tests.accounts.signing_in import confirm, sign_in
from tests.api.conftest import Api
from tests.factories import api_token, person

PAGE = "/accounts/api-tokens/"
FIELDS = {"name": "Backup", "scopes": ["read", "export"], "days": "90"}


@pytest.fixture
def browser(client: Client, ada: User) -> Client:
    sign_in(client)
    confirm(client)
    return client


def create(browser: Client, **fields: object) -> str:
    """Create a token by the page's form; return it."""
    page = browser.post(PAGE, FIELDS | fields)
    assert page.status_code == 200, page.text
    return re.search(r"ponder_[A-Za-z0-9]{43}", page.text)[0]


def test_a_token_is_shown_once_and_only_its_hash_is_stored(browser: Client, ada: User):
    page = browser.post(PAGE, FIELDS)
    secret = re.search(r"ponder_[A-Za-z0-9]{43}", page.text)[0]
    assert "no-store" in page.headers["Cache-Control"]
    assert page.text.count(secret) == 1
    assert secret not in browser.get(PAGE).text
    [token] = ApiToken.objects.all()
    assert secret not in str(vars(token))
    assert token.owner == ada
    assert token.scopes == "read export"
    assert timedelta(days=89) < token.expires_at - timezone.now() <= timedelta(days=90)
    listed = browser.get(PAGE).text
    assert "Backup" in listed
    assert "Read conversations · Export conversations" in listed
    assert "Not used yet" in listed
    assert Api(secret).get("").json()["token"]["scopes"] == ["read", "export"]
    assert "Last used" in browser.get(PAGE).text


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "", "scopes": []}, "This field is required."),
        ({"scopes": []}, "Choose at least one."),
    ],
)
def test_the_first_error_has_the_focus(browser: Client, fields: dict[str, object], error: str):
    page = browser.post(PAGE, FIELDS | fields)
    assert page.status_code == 422
    assert page.text.count("autofocus") == 1
    assert f"autofocus>{error}" in page.text


def test_a_token_can_be_created_only_after_entering_the_password_again(client: Client, ada: User):
    sign_in(client)
    session = client.session
    session["account_authentication_methods"] = []
    session.save()
    assert client.get(PAGE).status_code == 200
    asked = client.post(PAGE, FIELDS)
    assert asked.status_code == 302
    assert "/reauthenticate/" in asked.headers["Location"]
    assert not ApiToken.objects.exists()
    page = client.post(asked.headers["Location"], {"password": "pw", "next": PAGE})  # which then does what was asked
    assert re.search(r"ponder_[A-Za-z0-9]{43}", page.text)
    assert ApiToken.objects.count() == 1


def test_nobody_without_a_session_sees_the_page(client: Client, ada: User):
    assert client.get(PAGE).status_code == 302
    assert client.post(PAGE, FIELDS, headers={"Authorization": f"Bearer {api_token(ada)[1]}"}).status_code == 302


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"name": "x" * 61}, {"scopes": []}, {"scopes": ["staff"]}, {"days": "91"}, {"days": "x"}]
)
def test_a_token_needs_a_name_a_scope_and_an_end(browser: Client, fields: dict[str, object]):
    page = browser.post(PAGE, FIELDS | fields)
    assert page.status_code == 422
    assert 'class="field-error"' in page.text
    assert not ApiToken.objects.exists()


def test_the_number_of_tokens_is_limited(browser: Client, ada: User, monkeypatch: pytest.MonkeyPatch):
    assert api_tokens.MAX_TOKENS == 10
    monkeypatch.setattr(api_tokens, "MAX_TOKENS", 2)
    monkeypatch.setattr(api_tokens, "ENDED_TOKENS", 2)
    api_token(person("bob"))
    api_token(ada, expires_at=timezone.now())
    create(browser)
    create(browser)
    refused = browser.post(PAGE, FIELDS)
    assert refused.status_code == 422
    assert "Revoke one that you no longer need first" in refused.text
    assert ApiToken.objects.visible_to(ada).live().count() == 2
    for _ in range(4):  # those that have ended are limited too
        browser.post(PAGE, {"revoke": ApiToken.objects.visible_to(ada).live().first().pk})
        create(browser)
    assert ApiToken.objects.visible_to(ada).count() == 3


def test_a_revoked_token_stops_working_and_stays_listed(browser: Client, ada: User):
    api, [token] = Api(create(browser)), ApiToken.objects.all()
    assert api.get("").status_code == 200
    page = browser.post(PAGE, {"revoke": token.pk}, follow=True)
    assert "Token revoked." in page.text
    assert '<span class="badge">Revoked</span>' in page.text
    assert api.get("").status_code == 401


def test_nobody_can_revoke_the_token_of_another(browser: Client):
    token, secret = api_token(person("bob"))
    for pk in (token.pk, "0", "", "x", "9" * 30, "\u0663"):
        assert browser.post(PAGE, {"revoke": pk}).status_code == 404
    assert Api(secret).get("").status_code == 200


def test_the_owner_is_told_by_email_without_what_somebody_else_could_write(browser: Client):
    create(browser, name="Click evil.example")
    browser.post(PAGE, {"revoke": ApiToken.objects.get().pk})
    created, revoked = mail.outbox[-2:]
    assert "An API token was created" in created.body
    assert "revoked" in revoked.body
    assert "Address: 127.0.0.1" in created.body
    assert "evil" not in created.body + revoked.body
    assert "ponder_" not in created.body + revoked.body


def test_creation_and_revocation_are_logged_without_the_token(browser: Client, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    secret = create(browser)
    pk = ApiToken.objects.get().pk
    browser.post(PAGE, {"revoke": pk})
    assert f"API token {pk} created: user " in caplog.text
    assert f"API token {pk} revoked: user " in caplog.text
    assert "from 127.0.0.1" in caplog.text
    assert secret not in caplog.text
    assert "Backup" not in caplog.text
