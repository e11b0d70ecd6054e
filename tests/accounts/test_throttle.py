"""Guessing passwords is limited; its victims are not."""

from datetime import timedelta

import pytest
from allauth.core import ratelimit
from django.core import mail
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from conversations.accounts import throttle
from conversations.accounts.models import SignInAttempt
from conversations.models import User
from tests.factories import person

pytestmark = pytest.mark.django_db
TOO_MANY = "too many failed attempts"


@pytest.fixture
def ada() -> User:
    return person()


def sign_in(client: Client, login: str, password: str, address: str = "192.0.2.1", host: str = "127.0.0.1") -> str:
    """Return the page for this attempt, "" if it succeeded."""
    fields = {"login": login, "password": password}
    response = client.post("/accounts/login/", fields, headers={"Host": host}, REMOTE_ADDR=address)
    return response.text if response.status_code == 200 else ""


def guess(client: Client, number: int, login: str = "ada", address: str = "192.0.2.1") -> list[bool]:
    """Return of each wrong guess whether the password was checked."""
    return [TOO_MANY not in sign_in(client, login, f"wrong {n}", address) for n in range(number)]


def test_guesses_are_counted_whatever_the_port_and_name_in_the_host_header(client: Client, ada: User):
    hosts = [f"{name}:{port}" for port in range(1, 7) for name in ("127.0.0.1", "localhost")]
    pages = [sign_in(client, "ada", f"wrong {host}", host=host) for host in hosts]
    assert [TOO_MANY in page for page in pages] == [False] * 5 + [True] * 7
    assert TOO_MANY in sign_in(client, "ada", "pw")


def test_a_username_and_an_email_address_are_the_same_account(client: Client, ada: User):
    assert all(guess(client, 3, "ada"))
    assert all(guess(client, 2, "ADA@example.org"))
    assert not any(guess(client, 1, "Ada"))


def test_the_owner_signs_in_from_another_address_while_a_stranger_guesses(client: Client, ada: User):
    guess(client, 5)
    assert TOO_MANY in sign_in(client, "ada", "pw")
    assert sign_in(Client(), "ada", "pw", address="192.0.2.2") == ""
    assert not any(guess(client, 1))  # the owner's success does not give the stranger more guesses


def test_a_known_browser_signs_in_while_strangers_guess_from_everywhere(
    client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(throttle, "ATTEMPTS_AT_ACCOUNT", 3)
    assert sign_in(client, "ada", "pw") == ""
    client.post("/accounts/logout/")
    for number in range(3):
        guess(Client(), 1, address=f"198.51.100.{number}")
    assert TOO_MANY in sign_in(Client(), "ada", "pw", address="203.0.113.1")
    assert sign_in(client, "ada", "pw", address="203.0.113.1") == ""
    client.post("/accounts/logout/")
    assert guess(client, 6) == [True] * 5 + [False]  # whoever has the browser cannot guess either
    assert TOO_MANY in sign_in(client, "ada", "pw")


def test_a_browsers_cookie_is_for_one_account_and_cannot_be_forged(client: Client, ada: User):
    person("eve")
    assert sign_in(client, "eve", "pw") == ""
    client.post("/accounts/logout/")
    guess(Client(), 5)
    assert TOO_MANY in sign_in(client, "ada", "pw")
    for cookie in ("", "x", client.cookies[throttle.COOKIE].value[:-1]):
        client.cookies[throttle.COOKIE] = cookie
        assert TOO_MANY in sign_in(client, "ada", "pw")


def test_resetting_the_password_opens_the_account(client: Client, ada: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throttle, "ATTEMPTS_AT_ACCOUNT", 5)
    guess(Client(), 6)
    client.post("/accounts/password/reset/", {"email": ada.email})
    link = next(line for line in mail.outbox[-1].body.splitlines() if "/reset/key/" in line)
    form = client.get(link.partition("testserver")[2]).headers["Location"]
    assert client.post(form, dict.fromkeys(("password1", "password2"), "another staple 2")).status_code == 302
    assert sign_in(client, "ada", "another staple 2") == ""


def test_all_addresses_of_one_subscriber_count_together(ada: User, rf: RequestFactory):
    request = rf.post("/")
    request.session = {}
    for network, addresses in (("192.0.2.1", ["::ffff:192.0.2.1"]), ("2001:db8::1", ["2001:db8::2", "2001:db8::ffff"])):
        hashes = {throttle.begin(request, "ada", address).address for address in [network, *addresses]}
        assert len(hashes) == 1
    assert throttle.begin(request, "ada", "2001:db8:0:1::1").address not in hashes


def test_many_accounts_are_not_guessed_from_one_address(client: Client, ada: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throttle, "ATTEMPTS_FROM_ADDRESS", 3)
    assert [guess(client, 1, login) for login in ("a", "b", "ada", "d")] == [[True], [True], [True], [False]]
    assert guess(client, 1, "e", address="192.0.2.2") == [True]


def test_attempts_are_forgotten_after_their_period(client: Client, ada: User):
    guess(client, 5)
    SignInAttempt.objects.update(at=timezone.now() - throttle.PERIOD - timedelta(seconds=1))
    assert sign_in(client, "ada", "pw") == ""
    SignInAttempt.objects.update(at=timezone.now() - throttle.ACCOUNT_PERIOD - timedelta(seconds=1))
    guess(Client(), 1)
    assert SignInAttempt.objects.count() == 1


def test_over_https_the_cookie_is_bound_to_the_host(settings):
    settings.SESSION_COOKIE_SECURE = True
    response = HttpResponse()
    throttle.remember_browser(response, "ada")
    [(name, cookie)] = response.cookies.items()
    assert name.startswith("__Host-")
    assert (cookie["secure"], cookie["httponly"], cookie["path"], cookie["domain"]) == (True, True, "/", "")


def test_a_flood_of_requests_does_not_evict_the_other_limits(rf: RequestFactory):
    def consume(address: str) -> bool:
        return ratelimit.consume(rf.post("/", REMOTE_ADDR=address), action="signup")

    while consume("192.0.2.1"):
        pass
    for number in range(400):
        cache.set(f"flood-{number}", [], 60)
    assert not consume("192.0.2.1")
    assert consume("192.0.2.2")
