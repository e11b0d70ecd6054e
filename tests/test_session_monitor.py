"""Open sockets close when their session ends, whatever ended it, also while text streams."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, repeat

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import InterfaceError, OperationalError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from conversations import session_monitor
from conversations.models import User
from conversations.session_monitor import SignedOut, SocketSession
from tests.endpoint import Endpoint, Exchange
from tests.factories import person as make_person
from tests.screen import parse
from tests.site import PASSWORD, WAIT, Person, Site, people
from tests.upgrade.stored import execute

SIGNED_OUT = 4401
OUTCOMES = "select status, error from conversations_generation where owner_id = ? order by id"
BOTH_ENDED = (
    "select 1 from conversations_generation where owner_id = ? and finished_at is not null group by owner_id"
    " having count(*) = 2"
)
DEACTIVATED = ("stopped", "Stopped because the account was deactivated.")


@dataclass(frozen=True)
class Account:
    """A user of the shared site, with a session."""

    site: Site
    person: Person
    pk: int

    @property
    def page(self) -> str:
        """Return where administrators change this user."""
        return f"/admin/conversations/user/{self.pk}/"

    def execute(self, statement: str) -> None:
        """Change this user or session behind the site's back, as a shell, a command or another replica does."""
        execute(
            self.site.database_url,
            statement.format(user=self.pk, session=f"'{self.person.http.cookies['sessionid']}'"),
        )


@pytest.fixture(scope="module")
def accounts(shared: tuple[Site, Endpoint]) -> Iterator[Iterator[Account]]:
    """Users, one for each test, and at first an administrator."""
    site, _ = shared
    made = people(site, len(ENDINGS) + 1)
    rows = site.rows("select id from conversations_user order by id desc limit ?", len(made))
    found = [Account(site, person, pk) for person, (pk,) in zip(made, reversed(rows), strict=True)]
    yield iter(found)
    for person in made:
        person.close()


@pytest.fixture(scope="module")
def admin(accounts: Iterator[Account]) -> Account:
    admin = next(accounts)
    admin.execute("update conversations_user set is_staff = true, is_superuser = true where id = {user}")
    return admin


def submit(admin: Account, path: str, without: str = "", **fields: str) -> None:
    """Send a form of the administration as it is, without the field `without`."""
    inputs = [
        element.attributes
        for element in parse(admin.person.http.get(path).text).elements()
        if element.tag == "input" and element.attributes.get("name")
    ]
    shown = {field["name"]: field.get("value") or "" for field in inputs if field.get("type") != "checkbox"}
    del shown["csrfmiddlewaretoken"]
    shown.pop(without, None)
    assert admin.person.post(path, **{**shown, **fields}).status_code == 302


def deactivate(admin: Account, user: Account) -> None:
    submit(admin, f"{user.page}change/", without="is_active")


def set_password(admin: Account, user: Account) -> None:
    submit(admin, f"{user.page}password/", password1=PASSWORD, password2=PASSWORD, usable_password="true")


def sign_out(_admin: Account, user: Account) -> None:
    with closing(user.person.at(user.site)) as elsewhere:
        elsewhere.post("/accounts/logout/")


def by_statement(statement: str) -> Callable[[Account, Account], None]:
    return lambda _admin, user: user.execute(statement)


# Each with the outcome of an answer that is streaming, and of the question that waits behind it.
ENDINGS: dict[str, tuple[Callable[[Account, Account], None], list[tuple[str, str]]]] = {
    "deactivated by an administrator": (deactivate, [DEACTIVATED] * 2),
    "deactivated behind the site's back": (
        by_statement("update conversations_user set is_active = false where id = {user}"),
        [DEACTIVATED] * 2,
    ),
    "password set by an administrator": (set_password, [("complete", "")] * 2),
    "password set behind the site's back": (
        by_statement("update conversations_user set password = '!' || password where id = {user}"),
        [("complete", "")] * 2,
    ),
    "signed out": (sign_out, [("complete", "")] * 2),
    "session deleted": (
        by_statement("delete from django_session where session_key = {session}"),
        [("complete", "")] * 2,
    ),
    "session expired": (
        by_statement("update django_session set expire_date = '2001-01-01 00:00:00' where session_key = {session}"),
        [("complete", "")] * 2,
    ),
}


def close_code(socket: ClientConnection) -> int:
    """Read until the other side closes the socket, while text streams; return the code it closes with."""
    while True:
        try:
            socket.recv(timeout=WAIT)
        except ConnectionClosed as closed:
            return closed.rcvd.code


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_socket_closes_while_text_streams_when_its_user_is(
    ending: str, admin: Account, accounts: Iterator[Account], shared_endpoint: Endpoint
):
    enough = asyncio.Event()

    async def stream(exchange: Exchange) -> None:
        while not enough.is_set():
            await exchange.answer("word ")
            await asyncio.sleep(0.05)
        await exchange.finish()

    shared_endpoint.respond = stream
    user, (end, outcomes) = next(accounts), ENDINGS[ending]
    conversation = user.person.ask("Why?")
    user.person.ask("And then?", conversation)
    with user.person.socket(conversation) as socket:
        while "word word" not in socket.recv(timeout=WAIT):
            pass
        end(admin, user)
        assert close_code(socket) == SIGNED_OUT
    if outcomes[0] != DEACTIVATED:
        assert not shared_endpoint.exchanges[0].over.is_set()
        enough.set()
    user.site.await_rows(BOTH_ENDED, user.pk)
    assert user.site.rows(OUTCOMES, user.pk) == outcomes
    assert len(shared_endpoint.exchanges) == (1 if outcomes[0] == DEACTIVATED else 2)


def session_of(user: User) -> SessionStore:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session


@pytest.mark.django_db
def test_a_session_signed_with_an_earlier_key_is_valid_and_stays_as_it_is(settings):
    user = make_person()
    session = session_of(user)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, [settings.SECRET_KEY]
    assert SocketSession(session.session_key).authorise() == user.pk
    # The browser still has the cookie of this session.
    assert SessionStore(session.session_key)[SESSION_KEY] == str(user.pk)


@pytest.mark.django_db
def test_a_session_without_a_row_or_of_a_deactivated_user_is_refused():
    user = make_person()
    session = session_of(user)
    assert SocketSession(session.session_key).authorise() == user.pk
    for key in (None, "", "unknown"):
        with pytest.raises(SignedOut):
            SocketSession(key).authorise()
    User.objects.update(is_active=False)
    with pytest.raises(SignedOut):
        SocketSession(session.session_key).authorise()


async def test_sessions_are_compared_again_after_an_outage(monkeypatch: pytest.MonkeyPatch):
    nothing = session_monitor.Valid(set(), {}, set())
    results: Iterator[object] = chain([InterfaceError(), OperationalError()], repeat(nothing))

    async def run_in_thread(*_: object) -> object:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(session_monitor, "run_in_thread", run_in_thread)
    monkeypatch.setattr(session_monitor, "CHECK_SECONDS", 0)
    monitor, session, checked = session_monitor.SessionMonitor(), SocketSession("key"), asyncio.Event()
    session.user_id = 1
    monkeypatch.setattr(session, "check", checked.set)
    with monitor.watch(session):
        running = asyncio.create_task(monitor.run())
        async with asyncio.timeout(WAIT):
            await checked.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
