"""Accounts: in by name or e-mail, out, a new password, a forgotten one."""

import re

import pytest
from websockets.exceptions import ConnectionClosed

from tests.endpoint import Endpoint
from tests.site import PASSWORD, Person, Site


def sign_in(person: Person, login: str, password: str = PASSWORD) -> int:
    return person.post("/accounts/login/", login=login, password=password).status_code


@pytest.fixture
def ada(site: Site, join) -> Person:
    return join(site, "ada")


def test_a_person_signs_out_and_in_by_name_or_by_e_mail(ada: Person):
    for login in ("ada", "ADA@example.org"):
        assert ada.post("/accounts/logout/").status_code == 302
        assert ada.http.get("/").status_code == 302
        assert sign_in(ada, login, "wrong") == 200
        assert ada.http.get("/").status_code == 302
        assert sign_in(ada, login) == 302
        assert ada.http.get("/").status_code == 200


def test_a_new_password_replaces_the_old_one(ada: Person):
    fields = {"oldpassword": PASSWORD, "password1": "another staple 2", "password2": "another staple 2"}
    assert ada.post("/accounts/password/change/", **fields).status_code == 302
    assert ada.http.get("/").status_code == 200
    ada.post("/accounts/logout/")
    assert sign_in(ada, "ada") == 200
    assert sign_in(ada, "ada", "another staple 2") == 302


def test_a_forgotten_password_is_replaced_by_the_link_in_a_mail(ada: Person, site: Site):
    ada.post("/accounts/logout/")
    assert ada.post("/accounts/password/reset/", email="ada@example.org").status_code == 302
    link = re.search(r"http://[^/]+(/accounts/password/reset/key/\S+)", site.await_line("/password/reset/key/"))[1]
    form = ada.http.get(link).headers["Location"]
    fields = {"password1": "another staple 2", "password2": "another staple 2"}
    assert ada.post(form, **fields).status_code == 302
    assert sign_in(ada, "ada", "another staple 2") == 302


def test_mail_names_the_site(ada: Person, site: Site):
    assert site.await_line("Subject:").strip() == "Subject: [Ponder] Please Confirm Your Email Address"


def test_signing_out_closes_open_sockets(ada: Person, endpoint: Endpoint):
    conversation = ada.ask("Why?")
    ada.await_end(conversation)
    with ada.socket(conversation) as connection:
        connection.recv(timeout=30)
        ada.post("/accounts/logout/")
        with pytest.raises(ConnectionClosed) as closed:
            list(connection)
    assert closed.value.rcvd.code == 4401


def test_nobody_signs_up_where_that_is_closed(make_site, endpoint: Endpoint, join):
    site = make_site(SIGNUP="closed")
    with pytest.raises(AssertionError, match="closed"):
        join(site)


def test_only_the_first_administrator_is_made_and_its_password_told_once(site: Site):
    first, second = site.manage("first_administrator"), site.manage("first_administrator")
    assert "password: " in first.stdout
    assert second.stdout == ""
    assert site.rows("select username, is_superuser from conversations_user") == [("admin", 1)]
