"""Hostile and enormous input: a clear answer, nothing half-stored, the process unharmed."""

import json
import re
import socket

import pytest
from websockets.exceptions import ConnectionClosed

from tests.endpoint import Endpoint, Exchange
from tests.site import Person, Site


def counts(site: Site) -> list[tuple[int, ...]]:
    return site.rows(
        "select (select count(*) from conversations_conversation), (select count(*) from conversations_message),"
        " (select count(*) from conversations_generation)"
    )


@pytest.mark.parametrize(
    "content",
    [
        "a" * 200_000,
        "😀" * 200_000,
        "字" * 200_000,
        "<script>alert(1)</script>",
        "\u202eevil",
        "{{ 7 }} {% x %} \\u0000",
    ],
    ids=["long", "emoji", "Chinese", "markup", "bidi", "templates"],
)
def test_a_prompt_of_any_characters_is_kept_as_it_is_and_answered(
    everybody: Person, shared_endpoint: Endpoint, content: str
):
    conversation = everybody.ask(content)
    assert everybody.await_end(conversation)[0][0] == "complete"
    assert shared_endpoint.exchanges[-1].body["messages"][-1]["content"] == content
    page = everybody.http.get(conversation)
    assert page.status_code == 200
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a" * 200_001, "Shorten it to 200000 or fewer"),
        ("a\x00b", "NUL characters"),
        ("   \n\t ", "Enter a question."),
        ("", "Enter a question."),
    ],
    ids=["too long", "NUL", "spaces", "empty"],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_prompt_that_cannot_be_kept_is_refused_with_a_sentence(
    everybody: Person, shared_endpoint: Endpoint, content: str, sentence: str, htmx: bool
):
    before = counts(everybody.site)
    refused = everybody.post("/conversations/", htmx=htmx, content=content)
    assert refused.status_code == 422
    error = re.search(r'id="composer-error"[^>]*>([^<]*)<', refused.text)[1]
    assert sentence in error
    assert counts(everybody.site) == before
    if not htmx and "\x00" not in content:
        assert content in refused.text  # what was typed is still there


def test_a_key_that_is_no_uuid_is_refused(everybody: Person, shared_endpoint: Endpoint):
    before = counts(everybody.site)
    assert everybody.post("/conversations/", content="Why?", key="1' or '1").status_code == 422
    assert counts(everybody.site) == before


def test_bytes_that_are_no_text_are_read_as_well_as_they_can_be(everybody: Person, shared_endpoint: Endpoint):
    headers = {"X-CSRFToken": everybody.http.cookies["csrftoken"], "Content-Type": "application/x-www-form-urlencoded"}
    response = everybody.http.post("/conversations/", content=b"content=%ff%fe+\xff", headers=headers)
    assert response.status_code in (302, 400, 422)
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/conversations/not-a-uuid/",
        "/conversations/00000000-0000-0000-0000-000000000000/",
        "/messages/999999999999999999999999/retry/",
        "/generations/-1/stop/",
        "/%00",
        "/conversations/?before=%00_%00",
        "/conversations/?before=9999-99-99T00:00:00Z_00000000-0000-0000-0000-000000000000",
        "/../../etc/passwd",
        "/static/../chatsite/settings.py",
    ],
)
def test_an_odd_address_gets_a_page_of_ours(everybody: Person, path: str):
    for response in (everybody.http.get(path), everybody.post(path, content="x")):
        assert response.status_code in (200, 400, 404, 405, 302, 422)
        assert "Traceback" not in response.text
        assert "SECRET_KEY" not in response.text


def memory(site: Site) -> int:
    """Return the serving process's resident memory, the most it ever had, in bytes."""
    with open(f"/proc/{site.process.pid}/status") as status:  # noqa: PTH123
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_300_mb_is_refused_and_not_kept_in_memory(everybody: Person, chunked: bool):
    site = everybody.site
    before = counts(site), memory(site)
    size, block = 300 * 2**20, b"content=" + b"a" * (2**16 - 8)
    cookies = "; ".join(f"{name}={value}" for name, value in everybody.http.cookies.items())
    host, port = site.url.removeprefix("http://").split(":")
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(
            f"POST /conversations/ HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies}\r\n{length}\r\n"
            f"X-CSRFToken: {everybody.http.cookies['csrftoken']}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode()
        )
        for _ in range(size // len(block)):
            connection.sendall(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        reply = connection.recv(4096)
    assert b" 413 " in reply.splitlines()[0]
    assert b"This request is too large" in reply
    assert counts(site) == before[0]
    assert memory(site) - before[1] < 20 * 2**20


def test_a_socket_that_talks_too_much_is_closed(everybody: Person, shared_endpoint: Endpoint):
    conversation = everybody.ask("Why?")
    with everybody.socket(conversation) as connection:
        connection.send("x" * 1_000_000)
        with pytest.raises(ConnectionClosed):
            list(connection)
    assert everybody.http.get(conversation).status_code == 200


HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)><div hx-get=/ hx-trigger=load style=color:red>x</div>\n\n"
    "[a](javascript:alert(1)) [b](data:text/html,x) ![c](https://tracker.example/pixel.png)\n\n"
    "$\\href{javascript:alert(1)}{x}$ $\\text{<img src=x onerror=alert(1)>}$\n\n"
    '</div></article><div id="messages" hx-swap-oob="innerHTML">taken over</div>\n'
)


def test_hostile_output_of_a_model_is_shown_as_text(everybody: Person, shared_endpoint: Endpoint):
    async def hostile(exchange: Exchange) -> None:
        await exchange.reason(HOSTILE)
        await exchange.gate("watched")
        await exchange.answer(HOSTILE)
        await exchange.raw(b'data: {"choices":[{"delta":{"content":"nul \\u0000 half \\ud83d"}}]}\n\n')
        await exchange.finish()

    shared_endpoint.respond = hostile
    conversation = everybody.ask("Be hostile")
    with everybody.socket(conversation) as connection:
        frames = connection.recv(timeout=60)
        shared_endpoint.open("watched")
        while 'data-status="complete"' not in frames.rpartition('data-status="thinking"')[2]:
            frames += connection.recv(timeout=60)
    [(status, _, reasoning, content)] = everybody.await_end(conversation)
    assert status == "complete"
    assert reasoning == HOSTILE
    assert content == HOSTILE + "nul \ufffd half "  # the other half never came
    page = everybody.http.get(conversation).text
    for html in (page[page.index('id="messages"') : page.index('id="composer"')], frames):
        assert "<script>alert" not in html
        assert "<img" not in html
        assert not re.search(r"<[^>]*\s(onerror|style|hx-trigger)=", html)
        assert not re.search(r"""(href|src)=["']?(javascript|data):""", html)
        assert '<div id="messages" hx-swap-oob="innerHTML">' not in html


def test_a_single_delta_of_a_megabyte_is_kept_whole(everybody: Person, shared_endpoint: Endpoint):
    text = "word " * 200_000

    async def huge(exchange: Exchange) -> None:
        await exchange.raw(b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n")
        await exchange.finish()

    shared_endpoint.respond = huge
    conversation = everybody.ask("Say a lot")
    assert everybody.await_end(conversation)[0][3] == text
