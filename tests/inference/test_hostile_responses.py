"""Responses that break HTTP, compression or the format, and what an error may say."""

import asyncio
import json
import zlib

import pytest

from conversations.inference import errors
from conversations.inference.deltas import Delta
from conversations.inference.endpoint import OpenModel
from conversations.inference.stream import stream
from conversations.models import Status
from tests.endpoint import Endpoint as Server
from tests.endpoint import Exchange, think_and_answer
from tests.inference.asking import ask, event, text


async def test_a_response_that_claims_to_be_compressed_is_malformed(connected: OpenModel, endpoint: Server):
    async def lie(exchange: Exchange) -> None:
        await exchange.start(headers={"Content-Encoding": "gzip"})
        await exchange.raw(event("Yes."))

    endpoint.respond = lie
    with pytest.raises(errors.Malformed):
        await ask(connected)


@pytest.mark.parametrize("tail", [b"\x00" * 50, b""], ids=["broken", "cut"])
async def test_what_arrived_before_compressed_data_breaks_is_kept(connected: OpenModel, endpoint: Server, tail: bytes):
    compressor = zlib.compressobj(wbits=31)  # gzip

    async def compress(exchange: Exchange) -> None:
        await exchange.start(headers={"Content-Encoding": "gzip"})
        await exchange.raw(compressor.compress(event("Part")) + compressor.flush(zlib.Z_SYNC_FLUSH))
        await exchange.gate("seen")
        await exchange.raw(tail)

    def sink(deltas: list[Delta]) -> None:
        seen.extend(deltas)
        endpoint.open("seen")

    endpoint.respond = compress
    seen: list[Delta] = []
    request = connected.request([{"role": "user", "content": "Why?"}])
    with pytest.raises((errors.Malformed, errors.Unfinished)):
        await stream(connected.endpoint.create, request, sink, stall_seconds=20)
    assert text(seen) == "Part"


async def test_a_chunk_that_breaks_http_loses_nothing_that_came_with_it(connected: OpenModel, endpoint: Server):
    async def break_chunk(exchange: Exchange) -> None:
        await exchange.answer("Part")
        await exchange.gate("seen")
        data = event(" and more")
        exchange.write_raw_http(b"%x\r\n%b\r\nnonsense\r\n" % (len(data), data))
        await exchange.gate("never")

    def sink(deltas: list[Delta]) -> None:
        seen.extend(deltas)
        endpoint.open("seen")

    endpoint.respond = break_chunk
    seen: list[Delta] = []
    request = connected.request([{"role": "user", "content": "Why?"}])
    with pytest.raises(errors.Malformed):
        await stream(connected.endpoint.create, request, sink, stall_seconds=20)
    assert text(seen) == "Part and more"


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
HOSTILE = [
    b"",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/9.9 200 OK\r\n\r\n",
    b"HTTP/1.1 999999 OK\r\n\r\n",
    b"HTTP/1.1 99 OK\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: http://[bad/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Moved\r\nLocation: /v1/chat/completions\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 307 Moved\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: 1e999\r\nContent-Length: 5\r\n\r\n12345",
    b"HTTP/1.1 500 No\r\nRetry-After: nan\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    b"HTTP/1.1 500 No\r\nContent-Length: 500\r\n\r\ncut",
    OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    OK + b"X: y\r\n" * 500 + b"\r\n",
    OK + b"X\x00\xff: \xff\r\n\r\n",
    OK + b"Content-Length: -1\r\n\r\n",
    OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
    OK + b"Transfer-Encoding: nonsense\r\n\r\ndata: {}\n\n",
    OK + b"Content-Encoding: gzip, deflate, br, zstd\r\nContent-Length: 5\r\n\r\n12345",
    OK + b"Content-Encoding: " + b"gzip, " * 50 + b"gzip\r\nContent-Length: 5\r\n\r\n12345",
    OK + b"Content-Encoding: \xff\r\nContent-Length: 5\r\n\r\n12345",
    OK + b"Set-Cookie: \x01=\x02\r\nContent-Length: 10\r\n\r\ndata: {}\n\n",
]


async def test_no_response_whatever_is_taken_for_our_own_fault(
    connected: OpenModel, endpoint: Server, monkeypatch: pytest.MonkeyPatch
):
    async def respond(exchange: Exchange) -> None:
        exchange.write_raw_http(response)
        exchange.close()

    endpoint.respond = respond
    monkeypatch.setattr("conversations.inference.stream.BACKOFF_SECONDS", 0)
    for response in HOSTILE:
        with pytest.raises(errors.InferenceError) as raised:
            await ask(connected)
        assert not isinstance(raised.value, errors.Stalled), response
        assert "inf" not in raised.value.notice(has_text=False), response
    # None of them harms the next request.
    endpoint.respond = think_and_answer
    assert (await ask(connected)).finish_reason == "stop"
    assert "Cookie" not in endpoint.exchanges[-1].headers


async def test_an_answer_that_is_not_streamed_is_read(connected: OpenModel, endpoint: Server):
    async def at_once(exchange: Exchange) -> None:
        await exchange.start(content_type="application/json")
        message = {"role": "assistant", "reasoning": "Hm. ", "content": "Yes."}
        completion = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        await exchange.raw(json.dumps(completion, indent=2).encode())

    endpoint.respond = at_once
    seen: list[Delta] = []
    outcome = await ask(connected, seen)
    assert (text(seen), outcome.finish_reason, outcome.failure) == ("Hm. Yes.", "stop", None)


async def test_an_end_without_a_finish_reason_is_not_taken_for_any(connected: OpenModel, endpoint: Server):
    async def only_done(exchange: Exchange) -> None:
        await exchange.answer("Yes.")
        await exchange.raw(b"data: [DONE]\n\n")

    endpoint.respond = only_done
    outcome = await ask(connected)
    assert (outcome.finish_reason, outcome.status, type(outcome.failure)) == ("", Status.COMPLETE, errors.Unstated)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html; charset=base64"}, b"canary"),
        ({"Content-Type": "text/html; charset=utf-16"}, b"\xff"),
        ({"Content-Encoding": "gzip"}, b"no gzip"),
        ({"Content-Encoding": "br, gzip, deflate, " * 20}, b"?"),
        ({}, b"[" * 100_000),
        ({}, b'{"error": ' * 5_000 + b"1" + b"}" * 5_000),
        ({}, b'{"error": {"code": {"a": 1}, "message": [{"message": {"detail": {"msg": {}}}}]}}'),
    ],
)
async def test_no_body_hides_the_status_of_an_error(
    connected: OpenModel, endpoint: Server, headers: dict[str, str], body: bytes
):
    async def refuse(exchange: Exchange) -> None:
        await exchange.start(401, headers=headers)
        await exchange.raw(body)

    endpoint.respond = refuse
    with pytest.raises(errors.NotAuthorised, match="HTTP 401"):
        await ask(connected)


async def test_the_body_of_an_error_is_not_read_for_ever(connected: OpenModel, endpoint: Server):
    async def refuse(exchange: Exchange) -> None:
        await exchange.start(400)
        while True:
            await exchange.raw(b"x" * 65_536)

    endpoint.respond = refuse
    with pytest.raises(errors.RequestRejected):
        await ask(connected)
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


async def test_an_error_says_what_the_endpoint_said_without_key_and_prompt(connected: OpenModel, endpoint: Server):
    async def refuse(exchange: Exchange) -> None:
        message = f"Key canary-key\x00\n\u202ecannot use model m for {exchange.body['messages']} and sk-abcdefgh."
        await exchange.fail(403, "no_access\n", message + "x" * 10_000)

    endpoint.respond = refuse
    with pytest.raises(errors.NotAuthorised) as raised:
        await ask(connected)
    report = raised.value.report
    assert report.startswith("HTTP 403 no_access: Key … cannot use model m for [{")
    assert len(report) < 600
    assert report.isprintable()
    assert "canary" not in report
    assert "sk-" not in report
    assert "cannot use" not in raised.value.notice(has_text=True)


async def quote_in_status(exchange: Exchange) -> None:
    await exchange.fail(401, "canary-key", "x" * 492 + " canary-key and more")


async def quote_in_stream(exchange: Exchange) -> None:
    await exchange.event({"error": {"code": 401, "message": "x" * 492 + " canary-key for canary-prompt"}})


async def quote_in_status_line(exchange: Exchange) -> None:
    exchange.write_raw_http(b"HTTP/1.1 ??? canary-key for canary-prompt\r\n\r\n")


@pytest.mark.parametrize("respond", [quote_in_status, quote_in_stream, quote_in_status_line])
async def test_no_part_of_a_key_is_left_of_what_an_endpoint_says(connected: OpenModel, endpoint: Server, respond):
    endpoint.respond = respond
    with pytest.raises(errors.InferenceError) as raised:
        await ask(connected)
    assert raised.value.message  # a positive control
    assert "canary" not in raised.value.report


async def test_a_request_is_amended_once(connected: OpenModel, endpoint: Server):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(400, "unsupported", "canary-prompt")

    amended: list[errors.InferenceError] = []

    def amend(request: dict[str, object], error: errors.InferenceError) -> dict[str, object]:
        amended.append(error)
        return request | {"model": "another"}

    endpoint.respond = refuse
    request = connected.request([{"role": "user", "content": "canary-prompt"}])
    with pytest.raises(errors.RequestRejected):
        await stream(connected.endpoint.create, request, lambda deltas: None, stall_seconds=20, amend=amend)
    assert [exchange.body["model"] for exchange in endpoint.exchanges] == ["m", "another"]
    assert len(amended) == 1
