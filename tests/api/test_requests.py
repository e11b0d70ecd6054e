"""How the API treats requests: tokens and nothing else, errors in one shape, hostile bodies."""

import json
from collections.abc import Iterator

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client

from chatsite.request_limit import session_of
from conversations.models import ApiToken, Generation, Message, User
from conversations.views.api import conversations
from conversations.views.api.documentation import OPENAPI
from tests.api.conftest import BASE, Api
from tests.factories import api_token, person, queued

OPERATIONS = [
    (method, path, operation.get("description", ""))
    for path, methods in json.loads(OPENAPI)["paths"].items()
    for method, operation in methods.items()
]


def assert_problem(response: HttpResponse, status: int, code: str) -> None:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"].endswith(".")
    assert not response.cookies
    assert response.headers["Cache-Control"] == "no-store"


def requests(generation: Generation) -> Iterator[tuple[str, str, str]]:
    """Yield (method, address, description) of every operation, for this generation and its conversation."""
    for method, path, description in OPERATIONS:
        pk = str(generation.pk if "generations" in path else generation.conversation_id)
        yield method.upper(), BASE + path.removeprefix("/").replace("{pk}", pk), description


@pytest.fixture
def generation(ada: User) -> Generation:
    return queued(ada, "My secret question")


@pytest.fixture
def browser(client: Client, ada: User) -> Client:
    """A browser in which ada is signed in."""
    client.force_login(ada)
    return client


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_every_operation_needs_a_token(browser: Client, generation: Generation):
    assert len(OPERATIONS) == 12
    for method, path, _ in requests(generation):
        refused = browser.generic(method, path, b"{}", content_type="application/json")
        assert_problem(refused, 401, "unauthorized")
        assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_other_users_get_404_for_everything(generation: Generation):
    _, secret = api_token(person("eve"))
    client, found = Client(), 0
    for method, path, _ in requests(generation):
        if "{pk}" not in path and str(generation.conversation_id) not in path and "generations" not in path:
            continue
        found += 1
        refused = client.generic(method, path, b'{"content": "Mine"}', "application/json", headers=bearer(secret))
        assert_problem(refused, 404, "not_found")
    assert found == 6
    assert b"secret" not in client.get(f"{BASE}conversations/", headers=bearer(secret)).content
    assert client.get(f"{BASE}search/?q=secret", headers=bearer(secret)).json()["results"] == []
    generation.refresh_from_db()
    assert generation.status == "queued"


def test_roles_give_no_more_rights(generation: Generation):
    root = User.objects.create_superuser("root", "root@example.org", "pw")
    api = Api(api_token(root)[1])
    assert api.get(f"conversations/{generation.conversation_id}/").status_code == 404
    assert api.http.get("/admin/", headers=bearer(api.secret)).status_code == 302
    assert api.http.get("/", headers=bearer(api.secret)).status_code == 302


def test_a_second_factor_that_is_missing_does_not_matter(api: Api, ada: User, settings):
    settings.IS_PUBLIC = True
    User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    assert api.get("").status_code == 200
    assert api.http.get("/admin/", headers=bearer(api.secret)).status_code == 302


def test_scopes_are_kept(ada: User, generation: Generation):
    needed = {"read": 3, "export": 1, "ask": 6, "": 2}
    for scope in ("read", "export", "ask"):
        _, secret = api_token(ada, scope)
        for method, path, description in requests(generation):
            method = "HEAD" if path.endswith("/stream/") else method
            response = Client().generic(method, path, b"", "text/plain", headers=bearer(secret))
            if not description or f"`{scope}`" in description:
                assert response.status_code not in (401, 403), path
            elif method == "HEAD":
                assert response.status_code == 403
            else:
                assert_problem(response, 403, "insufficient_scope")
                assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
    for scope, number in needed.items():
        assert sum(f"`{scope}`" in each[2] if scope else not each[2] for each in OPERATIONS) == number


def test_a_token_that_may_only_ask_sees_no_earlier_answers(ada: User, generation: Generation):
    asking, reading = Api(api_token(ada, "ask")[1]), Api(api_token(ada, "ask", "read")[1])
    assert reading.get(f"generations/{generation.pk}/").status_code == 200
    for path in ("", "stream/"):
        assert asking.get(f"generations/{generation.pk}/{path}").status_code == 404
    assert asking.post(f"generations/{generation.pk}/stop/").status_code == 404
    asked = asking.post("conversations/", {"content": "And?"}).json()
    assert asking.get(f"generations/{asked['generation']['id']}/").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer ponder_",
        "Bearer ponder_{}",
        "Bearer {}, Bearer {}",
        "Bearer {} ",
        "Bearer  {}",
        "Bearer pönder_",
        "Bearer " + "x" * 8000,
    ],
)
def test_malformed_tokens_get_the_answer_of_expired_and_revoked_ones(ada: User, authorization: str):
    token, secret = api_token(ada)
    assert Client().get(BASE, headers={"authorization": f"bearer {secret}"}).status_code == 200
    refused = Client().get(BASE, headers={"Authorization": authorization.replace("{}", secret)})
    assert_problem(refused, 401, "invalid_token")
    ApiToken.objects.filter(pk=token.pk).update(expires_at=token.created_at)
    expired = Client().get(BASE, headers=bearer(secret))
    assert expired.content == refused.content
    assert expired.headers["WWW-Authenticate"] == refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", "Token x", "ponder_x"])
def test_other_ways_to_authenticate_are_none(db: None, authorization: str):
    assert_problem(Client().get(BASE, headers={"Authorization": authorization}), 401, "unauthorized")


def test_cookies_are_ignored(browser: Client, ada: User, generation: Generation, django_assert_num_queries):
    """Neither a session nor a CSRF token nor a time zone has an effect, and none is set."""
    _, secret = api_token(person("bob"))
    path = f"{BASE}conversations/{generation.conversation_id}/"
    assert browser.get(path, headers=bearer(secret)).status_code == 404
    browser.cookies["time_zone"] = "Europe/Berlin"
    with django_assert_num_queries(0):
        assert_problem(browser.get(BASE), 401, "unauthorized")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    made = strict.post(f"{BASE}conversations/", {"content": "Why?"}, "application/json", headers=bearer(secret))
    assert made.status_code == 201
    assert not made.cookies
    assert "Cookie" not in made.headers.get("Vary", "")
    assert Generation.objects.get(pk=made.json()["generation"]["id"]).owner.username == "bob"
    ada.refresh_from_db()
    assert ada.time_zone is None


def test_no_other_site_may_read_it(api: Api):
    response = api.get("", Origin="https://evil.example")
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("Access-Control")]
    options = api.http.options(BASE, headers=bearer(api.secret))
    assert_problem(options, 405, "method_not_allowed")
    assert options.headers["Allow"] == "GET, HEAD"
    assert_problem(api.http.options(BASE), 401, "unauthorized")


@pytest.mark.parametrize(
    "address", ["?token={}", "conversations/?access_token={}", "{}/", "?{}", "?q=%70onder%5F{rest}", "nowhere/?a={}"]
)
def test_a_token_in_the_address_is_refused_and_not_logged(api: Api, address: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    filled = address.replace("{rest}", api.secret.removeprefix("ponder_")).replace("{}", api.secret)
    assert_problem(api.get(filled), 400, "token_in_address")
    assert_problem(api.http.get(BASE + filled), 400, "token_in_address")
    assert api.secret.removeprefix("ponder_") not in caplog.text.replace("Bad Request: /api/v1/" + api.secret, "")


def test_an_address_that_does_not_exist_is_a_problem_too(api: Api):
    for path in ("nowhere", "conversations", "conversations/1/", "generations/0x1/", "generations/" + "9" * 5000 + "/"):
        assert_problem(api.get(path), 404, "not_found")
    assert_problem(api.http.get("/api/v2/"), 404, "not_found")
    assert_problem(api.get("generations/" + "9" * 30 + "/"), 404, "not_found")
    assert_problem(api.get("search/?q=%00"), 400, "bad_request")


def test_methods_are_those_of_the_operation(api: Api):
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        refused = api.http.generic(method, f"{BASE}conversations/", headers=bearer(api.secret))
        assert_problem(refused, 405, "method_not_allowed")
        assert refused.headers["Allow"] == "GET, POST, HEAD"
    assert api.head("conversations/").status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"content": "\xed\xa0\x80"}', 422),
        (b'{"content": NaN}', 400),
        (b"9" * 5000, 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"content": ""}', 422),
        (b'{"content": " \\n"}', 422),
        (b'{"content": null}', 422),
        (b'{"content": ["Why?"]}', 422),
        (b'{"content": 1}', 422),
        (b'{"content": "a\\u0000b"}', 422),
        (b'{"content": "\\ud800"}', 422),
        (b'{"content": "Why?", "other": 1}', 422),
        (b'{"content": "Why?", "\\ud800": 1}', 422),
        (b'{"content": "Why?", "key": "x"}', 422),
        (b'{"content": "Why?", "key": 7}', 422),
        (b'{"content": "Why?", "model": "nowhere"}', 422),
        (b'{"content": "Why?", "model": "a\\u0000"}', 422),
        (b'{"content": "Why?", "depth": "deepest"}', 422),
        (b'{"content": "Why?", "attachments": "x"}', 422),
        (b'{"content": "Why?", "attachments": ["x"]}', 422),
        (b'{"content": "Why?", "attachments": [1]}', 422),
        (b'{"content": "Why?", "attachments": ["7777777777774777877777777777777a"]}', 422),
        (json.dumps({"content": "x" * 200_001}).encode(), 422),
    ],
)
def test_hostile_bodies_are_refused(api: Api, body: bytes, status: int):
    refused = api.http.post(f"{BASE}conversations/", body, "application/json", headers=bearer(api.secret))
    assert refused.status_code == status, refused.content
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert not Message.objects.exists()


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_must_be_said_to_be_json(api: Api, content_type: str):
    refused = api.post("conversations/", b'{"content": "Why?"}', content_type)
    assert_problem(refused, 415, "unsupported_media_type")


def test_a_large_body_is_refused(api: Api, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert_problem(api.post("conversations/", {"content": "x" * 100}), 413, "request_entity_too_large")


def test_an_outage_of_the_database_is_said(api: Api, monkeypatch: pytest.MonkeyPatch):
    def fail(_: object) -> None:
        raise OperationalError("disk I/O error") from __import__("sqlite3").OperationalError("disk I/O error")

    monkeypatch.setattr(conversations, "allowed_models", fail)
    monkeypatch.setattr("chatsite.middleware.is_outage", lambda _: True)
    refused = api.get("models/")
    assert_problem(refused, 503, "service_unavailable")
    assert refused.headers["Retry-After"] == "5"


def test_an_error_of_the_server_says_nothing_else(api: Api, monkeypatch: pytest.MonkeyPatch):
    def fail(_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(conversations, "allowed_models", fail)
    refused = api.get("models/")
    assert refused.status_code == 500
    assert refused.json()["code"] == "internal_server_error"
    assert b"secret" not in refused.content


def test_requests_are_limited_by_their_token():
    def name(path: str, *headers: tuple[bytes, bytes]) -> str:
        return session_of({"path": path, "headers": headers, "client": ("192.0.2.1", 1)})

    cookie, token = (b"cookie", b"sessionid=abc"), (b"authorization", b"Bearer ponder_x")
    assert name("/", cookie, token) == "session abc"
    assert name("/api/v1/", cookie) == "address 192.0.2.1"
    limited = name("/api/v1/", cookie, token)
    assert limited.startswith("token ")
    assert "ponder" not in limited
    assert limited != name("/api/v1/", (b"authorization", b"Bearer ponder_y"))
    assert limited == name("/api/v1/", (b"authorization", b"bEARER ponder_x"))
