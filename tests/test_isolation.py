"""Users cannot access each other's data. Each test also checks that the owner has access."""

from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus

from tests.api.streams import connect, make_token
from tests.endpoint import Endpoint
from tests.site import Person


@pytest.fixture
def owned(person: Person, shared_endpoint: Endpoint) -> str:
    """The path of a finished conversation of `person`."""
    conversation = person.ask("My secret question")
    person.await_end(conversation)
    return conversation


@pytest.fixture
def stranger(make_person: Callable[[], Person]) -> Person:
    return make_person()


def ids(person: Person, conversation: str) -> tuple[int, int]:
    """Return the ids of the answer and of its generation."""
    key = person.site.uuid(conversation)
    [(message, generation)] = person.site.rows(
        "select message_id, id from conversations_generation where conversation_id = ?", key
    )
    return message, generation


def test_only_the_owner_can_open_a_conversation(owned: str, person: Person, stranger: Person):
    assert "My secret question" in person.http.get(owned).text
    refused = stranger.http.get(owned)
    assert refused.status_code == 404
    assert "secret" not in refused.text
    assert "My secret question" in person.http.get("/conversations/").text
    assert "My secret question" not in stranger.http.get("/conversations/").text
    assert "My secret question" not in stranger.http.get("/").text


@pytest.mark.parametrize("htmx", [False, True])
def test_only_the_owner_can_change_a_conversation(owned: str, person: Person, stranger: Person, htmx: bool):
    message, generation = ids(person, owned)
    [(prompt,)] = person.site.rows("select parent_id from conversations_message where id = ?", message)
    assert stranger.http.get(f"/messages/{prompt}/edit/").status_code == 404
    assert stranger.post(f"/generations/{generation}/take-back/", htmx=htmx).status_code == 404
    assert "My secret question" in person.http.get(f"/messages/{prompt}/edit/").text
    commands = [
        (f"/messages/{message}/select/", {}),
        (f"/generations/{generation}/stop/", {}),
        (f"{owned}rename/", {"title": "Mine"}),
        (f"{owned}pin/", {"pinned": "1"}),
        (f"{owned}archive/", {"archived": "1"}),
        (f"{owned}share/", {}),
        (f"{owned}move/", {"folder": ""}),
        (f"{owned}messages/", {"content": "And?"}),
        (f"/messages/{message}/retry/", {}),
        (f"/messages/{message}/regenerate/", {}),
        (f"/messages/{message}/continue/", {}),
        (f"/messages/{prompt}/edit/", {"content": "Why not?"}),
        (f"/generations/{generation}/answer-now/", {}),
        (f"{owned}delete/", {}),
    ]
    before = person.site.rows("select count(*), sum(length(content)) from conversations_message")
    for path, fields in commands:
        assert stranger.post(path, htmx=htmx, **fields).status_code == 404, path
    assert person.site.rows("select count(*), sum(length(content)) from conversations_message") == before
    for path, fields in commands:
        assert person.post(path, htmx=htmx, **fields).status_code in (200, 204, 302), path


def test_only_the_owner_can_open_a_socket(owned: str, person: Person, stranger: Person):
    with person.socket(owned) as socket:
        assert "My secret question" in socket.recv(timeout=60)
    with pytest.raises(InvalidStatus), stranger.socket(owned):
        pass


def test_every_page_requires_signing_in(owned: str, person: Person):
    cookies = dict(person.http.cookies)
    person.http.cookies.clear()
    for path in (owned, "/", "/conversations/", "/admin/"):
        refused = person.http.get(path)
        assert refused.status_code == 302
        assert "/login/" in refused.headers["Location"]
    with pytest.raises(InvalidStatus), person.socket(owned):
        pass
    for name, value in cookies.items():
        person.http.cookies.set(name, value)
    assert person.http.get(owned).status_code == 200


def test_sockets_are_refused_for_pages_of_other_sites(owned: str, person: Person):
    with person.socket(owned, Origin=person.site.url) as socket:
        assert socket.recv(timeout=60)
    for origin in ("https://evil.example", person.site.url.replace("http:", "ftp:"), person.site.url + "1", "null"):
        with pytest.raises(InvalidStatus), person.socket(owned, Origin=origin):
            pass


def test_a_post_without_the_csrf_token_is_refused(owned: str, person: Person):
    refused = person.http.post(
        f"{owned}messages/", data={"content": "forged"}, headers={"Origin": "https://evil.example"}
    )
    assert refused.status_code == 403
    assert "forged" not in person.http.get(owned).text


def test_the_administration_requires_staff(owned: str, person: Person):
    refused = person.http.get("/admin/conversations/conversation/")
    assert refused.status_code == 302


def test_only_the_owner_can_use_the_api_for_a_conversation(owned: str, person: Person, stranger: Person):
    (_, generation), path = ids(person, owned), owned.strip("/")
    paths = [path, f"{path}/export", f"generations/{generation}", f"generations/{generation}/stream"]
    for owner, secret in ((person, make_token(person)), (stranger, make_token(stranger))):
        with connect(person.site.url, secret) as api:
            for path in paths:
                response = api.get(f"/{path}/")
                assert response.status_code == (200 if owner is person else 404), path
                assert ("secret" in response.text) == (owner is person and "generations" not in path)
            found = api.get("/search/?q=secret").json()["results"]
            assert [result["text"] for result in found] == (["My secret question"] if owner is person else [])
    [(token,)] = person.site.rows(
        "select t.id from conversations_apitoken t join conversations_user u on u.id = t.owner_id where u.username = ?",
        person.name,
    )
    assert stranger.post("/accounts/api-tokens/", revoke=str(token)).status_code == 404
    assert person.post("/accounts/api-tokens/", revoke=str(token)).status_code == 302
