"""An invitation creates one account, whatever becomes of the account's address."""

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse

from conversations.accounts import invitations
from conversations.accounts.models import UsedInvitation
from conversations.models import User

pytestmark = pytest.mark.django_db
PASSWORDS = dict.fromkeys(("password1", "password2"), "correct horse 1 battery")


@pytest.fixture(autouse=True)
def by_invitation(settings) -> None:
    settings.SIGNUP, settings.ACCOUNT_PREVENT_ENUMERATION = "invite", "strict"


def sign_up(client: Client, token: str, name: str) -> bool:
    client.get(reverse("account_signup"), {"invitation": token})
    client.post(reverse("account_signup"), {"username": name, "email": "ada@example.org"} | PASSWORDS)
    return User.objects.filter(username=name).exists()


def test_an_invitation_is_used_once_even_if_the_account_changes_its_address():
    token = invitations.invitation_token("ada@example.org")
    assert sign_up(Client(), token, "ada")
    EmailAddress.objects.update(email="other@example.org")
    assert not sign_up(Client(), token, "ada2")
    User.objects.all().delete()
    assert not sign_up(Client(), token, "ada3")


def test_of_two_visitors_with_the_same_invitation_one_gets_an_account(monkeypatch: pytest.MonkeyPatch):
    token = invitations.invitation_token("ada@example.org")
    first, second = Client(), Client()
    for client in (first, second):
        client.get(reverse("account_signup"), {"invitation": token})
    assert sign_up(first, token, "ada")
    EmailAddress.objects.all().delete()
    User.objects.update(email="")
    # As if the second had passed the check of the invitation before the first was done.
    monkeypatch.setattr(UsedInvitation.objects, "filter", lambda **_: UsedInvitation.objects.none())
    fields = {"username": "ada2", "email": "ada@example.org"} | PASSWORDS
    assert second.post(reverse("account_signup"), fields).headers["Location"] == reverse("account_signup")
    assert list(User.objects.values_list("username", flat=True)) == ["ada"]


def test_somebody_who_claims_the_address_does_not_use_up_the_invitation():
    mallory = User.objects.create_user("mallory")
    EmailAddress.objects.create(user=mallory, email="ada@example.org")
    assert sign_up(Client(), invitations.invitation_token("ada@example.org"), "ada")
    assert EmailAddress.objects.get(verified=True).user.username == "ada"
