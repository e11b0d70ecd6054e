"""Hostile requests to the API of a running site."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx2
import pytest

from tests.api.streams import connect, make_token
from tests.site import WAIT, Person, Site

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def secret(everybody: Person) -> str:
    return make_token(everybody)


@pytest.fixture
def api(shared_site: Site, secret: str) -> Iterator[httpx2.Client]:
    with connect(shared_site.url, secret) as api:
        yield api


def raw(site: Site, *lines: str, body: bytes = b"") -> tuple[bytes, bytes]:
    """Send a request as it is; return the head and the body of the response."""
    parts = urlsplit(site.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=WAIT) as connection:
        head = "\r\n".join((*lines, f"Host: {parts.netloc}", "Connection: close", "", ""))
        connection.sendall(head.encode("latin-1") + body)
        with connection.makefile("rb") as response:
            return response.read().partition(b"\r\n\r\n")[::2]


def test_a_large_body_is_refused_and_one_in_pieces_is_read(api: httpx2.Client):
    refused = api.post("/conversations/", json={"content": "x" * 5 * MEGABYTE})
    assert (refused.status_code, refused.json()["code"]) == (413, "request_entity_too_large")
    form = api.post("/attachments/", files={"file": b"x" * 33 * MEGABYTE})
    assert (form.status_code, form.json()["code"]) == (413, "request_entity_too_large")
    pieces = (json.dumps({"content": "Why?"}).encode()[i : i + 1] for i in range(19))
    headers = {"Content-Type": "application/json"}
    assert api.post("/conversations/", content=pieces, headers=headers).status_code == 201


def test_only_the_address_for_files_takes_large_forms(api: httpx2.Client):
    for path in ("/conversations/", "/"):
        refused = api.post(path, files={"file": b"x" * 5 * MEGABYTE})
        assert refused.status_code == 413


@pytest.mark.parametrize(
    "lines",
    [
        ("Authorization: Bearer {0}", "Authorization: Bearer {0}"),
        ("Authorization: Bearer {0},Bearer {0}",),
        ("X-Forwarded-Authorization: Bearer {0}", "Proxy-Authorization: Bearer {0}", "X-API-Key: {0}"),
        ("Cookie: Authorization=Bearer {0}; token={0}",),
        ("Authorization_: Bearer {0}", "Authorization : Bearer {0}"),
    ],
)
def test_a_token_counts_only_in_one_header(shared_site: Site, secret: str, lines: tuple[str, ...]):
    head, _ = raw(shared_site, "GET /api/v1/ HTTP/1.1", *(line.format(secret) for line in lines))
    assert head.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 "))
    head, body = raw(shared_site, "GET /api/v1/ HTTP/1.1", f"authorization: bearer {secret}")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert secret.encode() not in body


def test_headers_of_a_response_cannot_be_chosen(shared_site: Site, secret: str):
    path = "/api/v1/generations/1%0d%0aX-Evil:%201/stream/"
    head, _ = raw(
        shared_site, f"GET {path} HTTP/1.1", f"Authorization: Bearer {secret}", "Last-Event-ID: 1\r\n X-Evil: 1"
    )
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"evil" not in head.lower()


def test_responses_to_head_have_no_body(shared_site: Site, secret: str):
    for path in ("", "models/", "conversations/", "nowhere/", "openapi.json", "generations/0/stream/"):
        _, body = raw(shared_site, f"HEAD /api/v1/{path} HTTP/1.1", f"Authorization: Bearer {secret}")
        assert body == b"", path


def test_no_token_reaches_the_sites_log(shared_site: Site, secret: str):
    """Neither from an address, nor from a header, nor from a body; whatever the answer is."""
    before = len(shared_site.lines)
    body = secret[len("ponder_") :]
    for address in (f"/api/v1/?token={secret}", f"/api/v1/{secret}/", f"/api/v1/?q={quote('ponder_', safe='')}{body}"):
        assert httpx2.get(shared_site.url + address).status_code == 400
    for address in (f"/{secret}/", f"/accounts/login/?next=/api/v1/{secret}"):
        httpx2.get(shared_site.url + address)
    httpx2.get(
        f"{shared_site.url}/api/v1/", headers={"Authorization": f"Bearer {secret}x", "Host": f"{secret}.example"}
    )
    httpx2.post(
        f"{shared_site.url}/api/v1/conversations/", content=secret, headers={"Authorization": f"Bearer {secret}"}
    )
    shared_site.await_line("a request for another host was refused", before)
    assert body not in "".join(shared_site.lines)
