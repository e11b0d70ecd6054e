"""Nobody learns which email addresses have accounts: not from pages, and not from how long they take.

Hashing a password takes as long as everything else together, so hashings are counted.
"""

import re

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.test import Client

from conversations.models import User
from tests.factories import person

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 1 battery"
NEW = {"password1": PASSWORD, "password2": PASSWORD}


class CountingHasher(MD5PasswordHasher):
    hashed: list[str] = []

    def encode(self, password: str, salt: str) -> str:
        self.hashed.append(password)
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def public(settings) -> None:
    """A public site with three accounts, one of which has claimed an address that is not its own."""
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    settings.ACCOUNT_EMAIL_VERIFICATION, settings.ACCOUNT_PREVENT_ENUMERATION = "mandatory", "strict"
    for name, verified in (("ada", True), ("bob", False), ("eve", True)):
        user = person(name)
        EmailAddress.objects.create(user=user, email=user.email, verified=verified, primary=True)
    EmailAddress.objects.create(user=User.objects.get(username="eve"), email="claimed@example.org")
    mallory = person("mallory")
    User.objects.filter(pk=mallory.pk).update(email="", is_active=False)
    for name in ("sso@example.org", "ada@example.org", "claimed@example.org"):
        User.objects.create_user(name)  # as single sign-on names people


def cost(client: Client, path: str, **fields: str) -> tuple[int, str, int, int]:
    """Return what a request shows to somebody who cannot read the emails that it sends, and its hashings."""
    CountingHasher.hashed.clear()
    mail.outbox.clear()
    response = client.post(path, fields)
    page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.text)
    for text in fields.values():
        page = page.replace(text, "")
    return response.status_code, response.get("Location", page), len(CountingHasher.hashed), len(mail.outbox)


def test_every_failed_sign_in_checks_one_password_and_says_the_same():
    logins = ["ada", "nobody", "ada@example.org", "bob@example.org", "claimed@example.org", "nobody@example.org"]
    logins += ["sso@example.org", "mallory", "mallory@example.org"]
    clients = [Client(REMOTE_ADDR=f"192.0.2.{number}") for number in range(len(logins))]
    costs = {
        cost(client, "/accounts/login/", login=login, password="wrong")
        for client, login in zip(clients, logins, strict=True)
    }
    [(status, page, hashings, emails)] = costs
    assert (status, hashings, emails) == (200, 1, 0)
    assert "are not correct" in page


def test_an_address_belongs_to_the_account_that_has_confirmed_it():
    for login in ("ada@example.org", "ADA@example.org", "eve@example.org"):
        assert cost(Client(), "/accounts/login/", login=login, password="pw")[:2] == (302, "/")
    assert cost(Client(), "/accounts/login/", login="bob@example.org", password="pw")[1] == "/accounts/confirm-email/"


def test_sign_up_responds_the_same_to_a_known_address_and_to_a_new_one():
    addresses = ["ada@example.org", "new@example.org", "bob@example.org", "claimed@example.org"]
    costs = {
        cost(Client(), "/accounts/signup/", username=f"new{n}", email=email, **NEW) for n, email in enumerate(addresses)
    }
    assert costs == {(302, "/accounts/confirm-email/", 1, 1)}
    assert not User.objects.filter(username="new0").exists()
    # Somebody who claims another's address does not keep its owner from signing up.
    assert EmailAddress.objects.filter(email="claimed@example.org").count() == 2
    assert User.objects.filter(username__in=["new1", "new2", "new3"]).count() == 3


def test_the_owner_of_a_known_address_is_told_by_email():
    cost(Client(), "/accounts/signup/", username="new", email="ada@example.org", **NEW)
    [message] = mail.outbox
    assert message.to == ["ada@example.org"]
    assert "account" in message.subject.lower()
    assert "/accounts/password/reset/" in message.body


def test_a_reset_responds_the_same_to_a_known_address_and_to_a_new_one():
    addresses = ("ada@example.org", "new@example.org", "bob@example.org", "claimed@example.org")
    costs = {cost(Client(), "/accounts/password/reset/", email=email) for email in addresses}
    assert costs == {(302, "/accounts/password/reset/done/", 0, 1)}


def test_adding_an_address_responds_the_same_to_a_known_address_and_to_a_new_one(client: Client):
    client.force_login(User.objects.get(username="eve"))
    client.post("/accounts/reauthenticate/", {"password": "pw"})
    for email in ("ada@example.org", "new@example.org"):
        assert cost(client, "/accounts/email/", action_add="", email=email)[:2] == (302, "/accounts/email/")
        assert f"Confirmation email sent to {email}" in client.get("/accounts/email/").text


def test_accounts_without_an_address_need_none_confirmed():
    User.objects.create_user("operator", password="pw")
    assert cost(Client(), "/accounts/login/", login="operator", password="pw")[:2] == (302, "/")


def test_on_a_laptop_no_email_is_needed(settings):
    settings.ACCOUNT_EMAIL_VERIFICATION, settings.ACCOUNT_PREVENT_ENUMERATION = "optional", True
    taken = cost(Client(), "/accounts/signup/", username="new", email="ada@example.org", **NEW)
    assert (taken[0], "already registered" in taken[1]) == (200, True)
    assert cost(Client(), "/accounts/signup/", username="new", email="new@example.org", **NEW)[:2] == (302, "/")
