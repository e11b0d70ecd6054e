"""Changes by which somebody could take over an account: the password is asked for again, and the owner is told."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from conversations.models import User
from tests.accounts.signing_in import PASSWORD, confirm, set_up_app, sign_in
from tests.factories import person

pytestmark = pytest.mark.django_db
ADDRESSES, APP, SESSIONS = "/accounts/email/", "/accounts/2fa/totp/activate/", "/accounts/sessions/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def ada(client: Client) -> User:
    user = person()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    client.defaults["HTTP_USER_AGENT"] = FIREFOX
    sign_in(client)
    return user


def sent() -> list[tuple[str, str]]:
    found = [(message.to[0], message.subject.removeprefix("[Ponder] ")) for message in mail.outbox]
    mail.outbox.clear()
    return found


def test_a_stolen_session_does_not_take_over_the_account(client: Client, ada: User):
    EmailAddress.objects.create(user=ada, email="eve@example.org", verified=True)
    attempts = [
        {"email": "mallory@example.org", "action_add": ""},
        {"email": "eve@example.org", "action_primary": ""},
        {"email": "ada@example.org", "action_remove": ""},
    ]
    for fields in attempts:
        assert client.post(ADDRESSES, fields).headers["Location"].startswith("/accounts/reauthenticate/?")
    assert set(EmailAddress.objects.values_list("email", "primary")) == {
        ("ada@example.org", True),
        ("eve@example.org", False),
    }
    assert confirm(client, "wrong").status_code == 200
    for page in (APP, "/accounts/2fa/webauthn/add/"):
        assert client.get(page).headers["Location"] == f"/accounts/reauthenticate/?next={page.replace('/', '%2F')}"
    assert client.post(SESSIONS, {"session": "others"}).headers["Location"].startswith("/accounts/reauthenticate/?")
    assert not mail.outbox
    # Not asked for in vain: with the password, the suspended request is carried out.
    fields = attempts[1]
    asked = client.post(ADDRESSES, fields).headers["Location"]
    client.post(asked, {"password": PASSWORD, "next": ADDRESSES})
    assert EmailAddress.objects.get_primary_email(ada) == "eve@example.org"


def test_the_owner_is_told_of_every_change(client: Client, ada: User, django_capture_on_commit_callbacks):
    confirm(client)
    client.post(ADDRESSES, {"email": "new@example.org", "action_add": ""})
    assert ("ada@example.org", "Email address added") in sent()
    EmailAddress.objects.update(verified=True)
    client.post(ADDRESSES, {"email": "new@example.org", "action_primary": ""})
    assert sent() == [("ada@example.org", "Email address changed")]
    client.post(ADDRESSES, {"email": "ada@example.org", "action_primary": ""})
    sent()
    client.post(ADDRESSES, {"email": "new@example.org", "action_remove": ""})
    assert sent() == [("ada@example.org", "Email address removed")]
    with django_capture_on_commit_callbacks(execute=True):
        set_up_app(client)
        client.post("/accounts/2fa/recovery-codes/generate/")
        client.post("/accounts/2fa/totp/deactivate/")
    told = ["Authenticator app removed", "Authenticator app set up", "New recovery codes"]
    assert sorted(sent()) == [("ada@example.org", subject) for subject in told]
    sign_in(Client())
    client.post(SESSIONS, {"session": "others"})
    assert sent() == [("ada@example.org", "Signed out")]
    passwords = dict.fromkeys(("password1", "password2"), "another staple 2")
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD} | passwords)
    assert "Browser: Firefox on Linux" in mail.outbox[0].body
    assert sent() == [("ada@example.org", "Password changed")]


def test_the_owner_is_told_when_an_administrator_sets_a_password(client: Client, ada: User):
    root = Client()
    root.force_login(User.objects.create_superuser("root", "root@example.org", PASSWORD))
    passwords = dict.fromkeys(("password1", "password2"), "another staple 2")
    page = f"/admin/conversations/user/{ada.pk}/password/"
    assert root.post(page, passwords | {"password2": "other"}).status_code == 200
    assert not mail.outbox
    assert root.post(page, passwords | {"usable_password": "true"}).status_code == 302
    assert "Address:" not in mail.outbox[0].body
    assert sent() == [("ada@example.org", "New password")]
    assert root.get("/admin/password_change/").headers["Location"] == "/accounts/password/change/"


def test_an_account_with_an_address_that_only_its_administrator_has_entered_is_told_too(client: Client, ada: User):
    EmailAddress.objects.all().delete()
    confirm(client)
    sign_in(Client())
    client.post(SESSIONS, {"session": "others"})
    assert sent() == [("ada@example.org", "Signed out")]
