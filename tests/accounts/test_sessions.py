"""Which sessions people see, how they end them, and how long sessions last."""

import time
from contextlib import closing
from datetime import timedelta

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from websockets.exceptions import ConnectionClosed

from conversations.accounts import devices, sessions
from conversations.accounts.models import UserSession
from conversations.accounts.sessions import ACTIVITY, MAX_SESSIONS, REFRESH_SECONDS
from conversations.models import User
from tests.accounts.signing_in import PASSWORD, confirm, is_signed_in, sign_in
from tests.factories import person
from tests.site import PASSWORD as PERSONS_PASSWORD
from tests.site import Person

PAGE = "/accounts/sessions/"
DAY = 24 * 60 * 60
MOBILE_SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"
django_db = pytest.mark.django_db


@pytest.fixture
def ada(db: None) -> User:
    return person()


@pytest.fixture
def elsewhere(ada: User) -> Client:
    """Another browser, in which ada is signed in."""
    elsewhere = Client(headers={"user-agent": MOBILE_SAFARI})
    sign_in(elsewhere)
    return elsewhere


@pytest.fixture
def here(client: Client, elsewhere: Client) -> Client:
    client.defaults["HTTP_USER_AGENT"] = CHROME
    sign_in(client)
    return client


def age(client: Client, **seconds: int) -> None:
    """Let so many seconds pass since something was noted in the session."""
    session = client.session
    session[ACTIVITY] = session[ACTIVITY] | {name: session[ACTIVITY][name] - passed for name, passed in seconds.items()}
    session.save()


def lasts(client: Client) -> int:
    """Return how many days the session still lasts, rounded up."""
    expires = Session.objects.get(pk=client.session.session_key).expire_date
    return -((timezone.now() - expires) // timedelta(days=1))


def test_people_see_their_own_sessions_in_plain_words(here: Client, elsewhere: Client):
    sign_in(Client(), person("eve").username)
    page = here.get(PAGE).text
    assert page.index("Chrome on Windows") < page.index("This session") < page.index("Safari on iPhone")
    assert page.count('class="entry-name"') == 2
    assert "Mozilla" not in page
    assert here.session.session_key not in page
    assert "Signed in <time" in page


def test_one_other_session_or_all_others_can_be_ended(here: Client, elsewhere: Client, ada: User):
    third, stranger = Client(), Client()
    sign_in(third)
    sign_in(stranger, person("eve").username)
    confirm(here)
    chosen = UserSession.objects.get(session_key=elsewhere.session.session_key).pk
    theirs = UserSession.objects.get(session_key=stranger.session.session_key).pk
    for session in (theirs, "", "x", "9" * 5000):
        assert here.post(PAGE, {"session": session}).headers["Location"] == PAGE
    assert [is_signed_in(client) for client in (here, elsewhere, third, stranger)] == [True, True, True, True]
    assert "Signed out there." in here.post(PAGE, {"session": chosen}, follow=True).text
    assert [is_signed_in(client) for client in (here, elsewhere, third, stranger)] == [True, False, True, True]
    assert "Signed out everywhere else." in here.post(PAGE, {"session": "others"}, follow=True).text
    assert [is_signed_in(client) for client in (here, third, stranger)] == [True, False, True]
    assert UserSession.objects.filter(user=ada).count() == 1


def test_signing_out_elsewhere_closes_sockets_there(person: Person):
    conversation = person.ask("Why?")
    person.await_end(conversation)
    with person.socket(conversation) as socket, closing(Person(person.site, person.name, {})) as other:
        socket.recv(timeout=60)
        other.post("/accounts/login/", login=person.name, password=PERSONS_PASSWORD)
        other.post("/accounts/reauthenticate/", password=PERSONS_PASSWORD)
        assert other.post(PAGE, session="others").status_code == 302
        with pytest.raises(ConnectionClosed) as closed:
            list(socket)
        assert closed.value.rcvd.code == 4401
        assert other.http.get("/").status_code == 200
    assert person.http.get("/").status_code == 302


def test_a_session_ends_a_week_after_its_last_use_and_a_month_after_sign_in(here: Client):
    assert lasts(here) == 7
    with CaptureQueriesContext(connection) as queries:
        here.get("/")
    assert not [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    Session.objects.update(expire_date=timezone.now() + timedelta(days=5))
    here.get("/")
    assert lasts(here) == 5  # used again too soon to be noted
    age(here, used=REFRESH_SECONDS)
    response = here.get("/")
    assert lasts(here) == 7
    assert response.cookies["sessionid"]["max-age"] > 6 * DAY
    age(here, used=REFRESH_SECONDS, ends=25 * DAY)
    here.get("/")
    assert lasts(here) == 5  # however often it is used
    Session.objects.update(expire_date=timezone.now())
    assert not is_signed_in(here)


def test_a_session_from_before_an_update_is_listed_and_ends_when_it_would_have(client: Client, ada: User):
    session = client.session
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(ada.pk), ada.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session.set_expiry(timezone.now() + timedelta(days=3))
    session.save()
    client.cookies["sessionid"] = session.session_key
    UserSession.objects.create(user=ada, session_key=session.session_key)
    assert is_signed_in(client)
    assert lasts(client) == 3
    assert client.session[ACTIVITY]["ends"] <= time.time() + 3 * DAY
    assert "This session" in client.get(PAGE).text


def test_a_new_password_leaves_only_this_session(here: Client, elsewhere: Client):
    passwords = dict.fromkeys(("password1", "password2"), "another staple 2")
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD} | passwords)
    page = here.get(PAGE).text
    assert "Chrome on Windows" in page
    assert "Safari on iPhone" not in page
    sign_in(elsewhere)


@django_db
def test_too_many_sessions_end_the_oldest(ada: User, monkeypatch: pytest.MonkeyPatch):
    assert MAX_SESSIONS == 50
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    clients = [Client() for _ in range(3)]
    for client in clients:
        sign_in(client)
    assert [is_signed_in(client) for client in clients] == [False, True, True]
    clients[1].logout()
    sign_in(clients[0])
    assert [is_signed_in(client) for client in clients] == [True, False, True]


def test_pages_are_shown_while_the_use_of_a_session_cannot_be_noted(here: Client, caplog: pytest.LogCaptureFixture):
    age(here, used=REFRESH_SECONDS)
    used = here.session[ACTIVITY]["used"]
    caplog.set_level("INFO", "conversations")
    with connection.cursor() as cursor:
        cursor.execute("pragma query_only = true")
        try:
            assert here.get("/privacy/").status_code == 200
        finally:
            cursor.execute("pragma query_only = false")
    assert "the use of a session was not noted" in caplog.text
    assert here.session[ACTIVITY]["used"] == used
    assert is_signed_in(here)
    assert here.session[ACTIVITY]["used"] > used


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (CHROME, "Chrome on Windows"),
        (f"{CHROME} Edg/140.0.0.0", "Edge on Windows"),
        (MOBILE_SAFARI, "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on macOS"),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_devices_are_named_in_plain_words(user_agent: str, device: str):
    assert devices.describe(user_agent) == device
