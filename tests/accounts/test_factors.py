"""Second factors: how they protect a sign-in, who must have one, and how they are stored and reset."""

import logging
from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory

from conversations.accounts.factors import passkeys_work
from conversations.models import User
from conversations.session_monitor import SignedOut, SocketSession
from tests import totp
from tests.accounts.signing_in import confirm, enter_code, is_signed_in, recovery_codes, set_up_app, sign_in
from tests.factories import person

pytestmark = pytest.mark.django_db
SETUP = "/accounts/2fa/"


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def enrolled(client: Client, ada: User) -> str:
    """The key of an authenticator app that ada has just set up."""
    sign_in(client)
    return set_up_app(client)


def make_staff(user: User) -> None:
    user.is_staff = True


def make_superuser(user: User) -> None:
    user.is_superuser = True


def make_reviewer(user: User) -> None:
    user.user_permissions.add(Permission.objects.get(codename="read_conversations"))


def test_a_password_alone_does_not_sign_in_with_an_authenticator_app(client: Client, enrolled: str, caplog):
    client.logout()
    assert sign_in(client).headers["Location"] == "/accounts/2fa/authenticate/"
    assert not is_signed_in(client)
    assert "That did not work" in enter_code(client, "000000").text
    assert "sign-in refused, wrong code of a second factor: user " in caplog.text
    assert not is_signed_in(client)
    code = totp.code(enrolled)
    assert enter_code(client, code).status_code == 302
    assert is_signed_in(client)
    another = Client()
    sign_in(another)
    assert "That did not work" in enter_code(another, code).text  # each code works once


def test_a_recovery_code_works_once(client: Client, enrolled: str):
    first, *others = recovery_codes(client)
    assert len(others) == 9
    for code, works in ((first, True), (first, False), (others[0], True)):
        client.logout()
        sign_in(client)
        enter_code(client, code)
        assert is_signed_in(client) == works


def test_the_qr_code_is_part_of_the_page(client: Client, ada: User):
    sign_in(client)
    confirm(client)
    page = client.get("/accounts/2fa/totp/activate/").text
    assert "<svg" in page.partition('<div class="qr">')[2].partition("</div>")[0]
    assert "data:" not in page
    assert "style=" not in page


def test_secrets_are_stored_encrypted_and_follow_a_change_of_the_key(client: Client, enrolled: str, settings):
    codes = recovery_codes(client)

    def stored() -> list[str]:
        found = Authenticator.objects.order_by("type").values_list("data", flat=True)
        return [data.get("secret") or data["seed"] for data in found]

    before = stored()
    assert enrolled not in "".join(before)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, [settings.SECRET_KEY]
    client.logout()
    sign_in(client)
    enter_code(client, totp.code(enrolled))
    assert is_signed_in(client)
    settings.SECRET_KEY_FALLBACKS = []
    assert set(stored()).isdisjoint(before)
    client.logout()
    sign_in(client)
    enter_code(client, codes[0])
    assert is_signed_in(client)


def test_a_factor_that_cannot_be_decrypted_is_explained(client: Client, enrolled: str, settings, caplog):
    settings.SECRET_KEY = "another" * 10
    sign_in(client)
    page = enter_code(client, totp.code(enrolled))
    assert "cannot be checked" in page.text
    assert not is_signed_in(client)
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("make", [make_staff, make_superuser, make_reviewer])
def test_on_a_public_site_a_person_with_power_must_set_up_a_factor(
    make: Callable[[User], None], client: Client, ada: User, settings
):
    settings.IS_PUBLIC = True
    make(ada)
    ada.save()
    sign_in(client)
    for path in ("/", "/admin/", "/accounts/email/", "/conversations/", "/reviews/"):
        assert client.get(path).headers["Location"] == SETUP
    assert client.post("/conversations/", {"content": "Why?"}).headers["Location"] == SETUP
    assert not ada.conversations.exists()
    assert "need a second factor" in client.get(SETUP).text
    assert client.get("/healthz").status_code == 200
    key = client.session.session_key
    with pytest.raises(SignedOut):
        SocketSession(key).authorise()
    secret = set_up_app(client)
    assert is_signed_in(client)
    assert SocketSession(key).authorise() == ada.pk
    assert "need a second factor" not in client.get(SETUP).text
    client.logout()
    sign_in(client)
    enter_code(client, totp.code(secret))
    assert is_signed_in(client)
    confirm(client)
    client.post("/accounts/2fa/totp/deactivate/")
    assert not is_signed_in(client)  # without any, it is required again


@pytest.mark.parametrize("make", [make_staff, make_superuser, make_reviewer])
def test_a_right_that_is_newer_than_the_session_needs_a_factor_too(
    make: Callable[[User], None], client: Client, ada: User, settings
):
    settings.IS_PUBLIC = True
    sign_in(client)
    assert is_signed_in(client)
    make(ada)
    ada.save()
    for path in ("/admin/", "/models/"):
        assert client.get(path).headers["Location"] == SETUP
    assert not is_signed_in(client)
    set_up_app(client)
    assert is_signed_in(client)


def test_nobody_else_must_set_up_a_factor(client: Client, ada: User, settings):
    settings.IS_PUBLIC = True
    sign_in(client)
    assert is_signed_in(client)
    settings.IS_PUBLIC = False
    User.objects.update(is_staff=True, is_superuser=True)
    for _ in range(2):
        client.logout()
        sign_in(client)
        assert is_signed_in(client)
        assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("origin", "host", "is_secure", "works"),
    [
        ("https://chat.example.org", "chat.example.org", True, True),
        ("https://chat.example.org", "chat.example.org", False, True),  # the proxy is not counted
        ("", "localhost:8000", False, True),
        ("", "127.0.0.1:8000", False, False),
        ("", "[::1]:8000", False, False),
        ("https://192.0.2.7", "192.0.2.7", True, False),
        ("http://chat.example.org", "chat.example.org", False, False),
    ],
)
def test_passkeys_are_offered_where_browsers_allow_them(
    origin: str, host: str, is_secure: bool, works: bool, client: Client, rf: RequestFactory, settings
):
    settings.ALLOWED_HOSTS = ["chat.example.org", "192.0.2.7", "localhost", "127.0.0.1", "[::1]"]
    settings.CSRF_TRUSTED_ORIGINS = [origin] if origin else []
    assert passkeys_work(rf.get("/", headers={"host": host}, secure=is_secure)) == works
    page = client.get("/accounts/login/", headers={"host": host}, secure=is_secure).text
    assert ("Sign in with a passkey" in page) == works


def test_lost_factors_are_reset_by_a_command(client: Client, enrolled: str, ada: User, caplog, capsys):
    caplog.set_level(logging.INFO, "conversations")
    for name, reason in (("eve", "no account"), (person("bob").username, "has no second factor")):
        with pytest.raises(CommandError, match=reason):
            call_command("reset_factors", name)
    mail.outbox.clear()
    call_command("reset_factors", "ada")
    assert "signed out everywhere" in capsys.readouterr().out
    assert f"user {ada.pk} were removed" in caplog.text
    assert [(message.to, message.subject) for message in mail.outbox] == [
        (["ada@example.org"], "[Ponder] Two-factor sign-in reset")
    ]
    assert not Authenticator.objects.exists()
    assert not is_signed_in(client)
    sign_in(client)
    assert is_signed_in(client)
