"""Local accounts: sign-up, sign-in, sign-out, passwords, invitations and the first administrator."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from tests.site import PASSWORD, WAIT, WITHOUT_TLS, Person, Site, from_elsewhere, manage, read_rows


def sign_in(person: Person, login: str, password: str = PASSWORD) -> int:
    return person.post("/accounts/login/", login=login, password=password).status_code


def post(client: httpx2.Client, path: str, **fields: str) -> httpx2.Response:
    client.get("/accounts/login/")
    headers = {"X-CSRFToken": client.cookies["csrftoken"], "Origin": str(client.base_url).rstrip("/")}
    return client.post(path, data=fields, headers=headers)


def sign_up(client: httpx2.Client, name: str, email: str) -> httpx2.Response:
    fields = {"username": name, "email": email, "password1": PASSWORD, "password2": PASSWORD}
    return post(client, "/accounts/signup/", **fields)


@pytest.fixture
def client_of() -> Callable[[Site], httpx2.Client]:
    """Return a browser of a visitor without an account."""
    return lambda site: httpx2.Client(base_url=site.url, headers=from_elsewhere(), timeout=WAIT, verify=WITHOUT_TLS)


def test_a_person_signs_in_with_username_or_email_address(person: Person):
    for login in (person.name, f"{person.name.upper()}@example.org"):
        assert person.post("/accounts/logout/").status_code == 302
        assert person.http.get("/").status_code == 302
        assert sign_in(person, login, "wrong") == 200
        assert person.http.get("/").status_code == 302
        assert sign_in(person, login) == 302
        assert person.http.get("/").status_code == 200


def test_a_new_password_replaces_the_old_one(person: Person):
    fields = {"oldpassword": PASSWORD, "password1": "another staple 2", "password2": "another staple 2"}
    assert person.post("/accounts/password/change/", **fields).status_code == 302
    assert person.http.get("/").status_code == 200
    person.post("/accounts/logout/")
    assert sign_in(person, person.name) == 200
    assert sign_in(person, person.name, "another staple 2") == 302


def test_a_forgotten_password_is_reset_with_the_link_in_an_email(person: Person):
    site, printed = person.site, len(person.site.lines)
    person.post("/accounts/logout/")
    assert person.post("/accounts/password/reset/", email=f"{person.name}@example.org").status_code == 302
    link = re.search(
        r"http://[^/]+(/accounts/password/reset/key/\S+)", site.await_line("/password/reset/key/", printed)
    )[1]
    form = person.http.get(link).headers["Location"]
    fields = {"password1": "another staple 2", "password2": "another staple 2"}
    assert person.post(form, **fields).status_code == 302
    assert sign_in(person, person.name, "another staple 2") == 302


def test_email_subjects_start_with_the_name_of_the_site(shared_site: Site, make_person):
    printed = len(shared_site.lines)
    make_person()
    assert shared_site.await_line("Subject:", printed).strip() == "Subject: [Ponder] Please Confirm Your Email Address"


def test_signing_out_closes_open_sockets(person: Person):
    conversation = person.ask("Why?")
    person.await_end(conversation)
    with person.socket(conversation) as connection:
        connection.recv(timeout=60)
        person.post("/accounts/logout/")
        with pytest.raises(ConnectionClosed) as closed:
            list(connection)
    assert closed.value.rcvd.code == 4401


def test_only_confirmed_addresses_of_the_domain_can_sign_in(make_site, client_of):
    site = make_site(SIGNUP="domain:Example.org")
    with client_of(site) as client:
        assert "Create an account" in client.get("/accounts/login/").text
        for other in ("eve@example.com", "eve@example.org.example.com", "eve@sub.example.org"):
            assert "Use an email address at example.org" in sign_up(client, "eve", other).text
        assert sign_up(client, "ada", "ada@example.org").headers["Location"] == "/accounts/confirm-email/"
        assert client.get("/").status_code == 302
        link = re.search(r"http://[^/]+(/accounts/confirm-email/\S+)", site.await_line("/confirm-email/"))[1]
        post(client, link)
        post(client, "/accounts/login/", login="ada", password=PASSWORD)
        assert client.get("/").status_code == 200


def test_an_invitation_creates_one_account_for_its_address(make_site, client_of):
    site = make_site(SIGNUP="invite")
    invited = site.manage("invite", "Ada@example.org")
    link = invited.stdout.strip()
    assert link.startswith("http://localhost:8000/accounts/signup/?invitation=")
    path = link.removeprefix("http://localhost:8000")
    with client_of(site) as client:
        assert "Sign-up is closed" in client.get("/accounts/signup/").text
        assert "has already been used, or is more than a week old" in client.get(f"{path}x").text
        assert 'value="ada@example.org"' in client.get(path).text
        assert "Your invitation is for ada@example.org" in sign_up(client, "eve", "eve@example.org").text
        assert sign_up(client, "ada", "ada@example.org").status_code == 302
        assert client.get("/").status_code == 200
    assert site.rows("select email, verified from account_emailaddress") == [("ada@example.org", 1)]
    with client_of(site) as another:
        assert "has already been used" in another.get(path).text


def test_invitations_are_only_created_if_sign_up_is_by_invitation(shared_site: Site):
    refused = shared_site.manage("invite", "ada@example.org")
    assert refused.returncode == 1
    assert "SIGNUP is open" in refused.stderr


def test_one_administrator_is_created_and_its_password_printed_once(database_template: Path, tmp_path: Path):
    url = f"sqlite:///{shutil.copy(database_template, tmp_path / 'db.sqlite3')}"
    first, second = (manage("first_administrator", DATABASE_URL=url) for _ in range(2))
    assert "password: " in first.stdout
    assert second.stdout == ""
    assert read_rows(url, "select username, is_superuser from conversations_user") == [("admin", 1)]
