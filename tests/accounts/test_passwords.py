"""Which passwords a site refuses, and the password that is printed for the first administrator."""

from datetime import timedelta

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from conversations.models import User

PERSON = User(username="lovelace", email="ada.lovelace@analytical.org", first_name="Augusta")


@pytest.mark.parametrize(
    "password",
    [
        "Password123!",
        "P@ssw0rd!2026",
        "Pa55word123$",
        "!password!!!1",
        "$ummer2026",
        "1-2-summer-3",
        "p.a.s.s.w.o.r.d",
        "dragondragon77",
        "Ponder2026!!",
        "chat.example1",
        "examplePassword9",
        "Lovelace!2026",
        "analytical-123",
        "Augusta99999",
    ],
)
def test_a_public_site_refuses_variations_of_common_passwords_and_names(settings, password: str):
    settings.ALLOWED_HOSTS = ["chat.example.org"]
    settings.IS_PUBLIC = True
    with pytest.raises(ValidationError):
        validate_password(password, PERSON)


@pytest.mark.parametrize(
    "password",
    ["correct horse 1 battery", "another staple 2", "xK9$mQ2vLp", "8347-2!9_38#5", "Тихий дон и река", "password-ymtq"],
)
def test_a_public_site_accepts_other_passwords_of_any_composition(settings, password: str):
    settings.IS_PUBLIC = True
    validate_password(password, PERSON)


def test_only_public_sites_refuse_variations(settings):
    validate_password("Password123!", PERSON)
    with pytest.raises(ValidationError):
        validate_password("password123", PERSON)


def test_checking_a_long_password_takes_linear_time(settings):
    settings.IS_PUBLIC = True
    for password in ("1" * 1_000_000 + "a", "ab" * 500_000 + "c", "1a" * 500_000):
        validate_password(password, PERSON)


def printed(capsys: pytest.CaptureFixture[str], **options: str) -> str:
    """Run the command; return the password that it printed, or ""."""
    call_command("first_administrator", **options)
    output = capsys.readouterr().out
    return output.split("password: ")[1].split()[0] if output else ""


def sign_in(client: Client, password: str) -> str:
    return client.post("/accounts/login/", {"login": "admin", "password": password}).headers["Location"]


@pytest.mark.django_db
def test_on_a_public_site_the_printed_password_only_serves_to_choose_another(client: Client, settings, capsys):
    settings.IS_PUBLIC = True
    password = printed(capsys)
    page = client.get(sign_in(client, password), follow=True)
    assert "Choose a password of your own" in page.text
    assert client.get("/").status_code == 302
    form = page.request["PATH_INFO"]
    refused = client.post(form, dict.fromkeys(("password1", "password2"), password))
    assert "Choose another password than the one that was printed" in refused.text
    assert client.post(form, dict.fromkeys(("password1", "password2"), "another staple 2")).status_code == 302
    assert sign_in(client, "another staple 2") == "/"
    assert client.get("/").headers["Location"] == "/accounts/2fa/"  # signed in, to set up a second factor
    assert printed(capsys) == ""


@pytest.mark.django_db
def test_a_printed_password_expires_and_can_be_printed_again(client: Client, settings, capsys):
    settings.IS_PUBLIC = True
    first = printed(capsys)
    assert printed(capsys) == ""
    User.objects.update(password_expires_at=timezone.now() - timedelta(seconds=1))
    assert "This password has expired" in client.get(sign_in(client, first), follow=True).text
    second = printed(capsys)
    assert "/password/reset/key/" in sign_in(client, second)
    assert list(User.objects.values_list("username", "is_superuser")) == [("admin", True)]


@pytest.mark.django_db
def test_on_a_laptop_the_printed_password_is_as_good_as_any(client: Client, capsys):
    password = printed(capsys)
    User.objects.update(password_expires_at=timezone.now() - timedelta(days=9))
    assert sign_in(client, password) == "/"
    assert printed(capsys) == ""


@pytest.mark.django_db
def test_a_password_set_in_any_other_way_does_not_expire(client: Client, settings, capsys):
    settings.IS_PUBLIC = True
    printed(capsys)
    user = User.objects.get()
    user.set_password("another staple 2")
    user.save()
    assert sign_in(client, "another staple 2") == "/"


@pytest.mark.django_db
def test_without_local_accounts_sessions_that_began_with_a_password_have_ended(client: Client, settings):
    for name, password, status in (("ada", "pw", 302), ("sso", None, 200)):
        settings.LOCAL_ACCOUNTS = True
        client.force_login(User.objects.create_user(name, password=password))
        assert client.get("/").status_code == 200
        settings.LOCAL_ACCOUNTS = False
        assert client.get("/").status_code == status


@pytest.mark.django_db
def test_without_local_accounts_somebody_who_has_signed_in_becomes_the_administrator(settings, capsys):
    settings.LOCAL_ACCOUNTS = False
    with pytest.raises(CommandError, match="sign in once"):
        call_command("first_administrator")
    User.objects.create_user("ada@example.org")
    call_command("first_administrator", username="ada@example.org")
    assert User.objects.get().is_superuser
    assert "password" not in capsys.readouterr().out
