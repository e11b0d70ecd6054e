"""Requests over real HTTP: deltas, retries, failures, and what happens to the connection."""

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import AsyncIterator

import pytest
import uvloop
from aiohttp.client_proto import ResponseHandler

from conversations.inference import errors
from conversations.inference.deltas import Delta
from conversations.inference.endpoint import Endpoint, open_endpoint
from conversations.inference.stream import Outcome, stream
from conversations.models import Status
from tests.endpoint import Endpoint as Server
from tests.endpoint import Exchange, think_and_answer


@pytest.fixture
async def connected(endpoint: Server, settings) -> AsyncIterator[Endpoint]:
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL, settings.OPENAI_API_KEY = endpoint.base_url, "m", "canary-key"
    opened = await open_endpoint()
    yield opened
    await opened.close()


async def ask(connected: Endpoint, seen: list[Delta] | None = None, stall_seconds: float = 20) -> Outcome:
    request = connected.request([{"role": "user", "content": "canary-prompt"}])
    sink = [] if seen is None else seen
    return await stream(connected.create, request, sink.extend, stall_seconds=stall_seconds)


def text(seen: list[Delta]) -> str:
    return "".join(delta.text for delta in seen)


async def test_deltas_arrive_in_order_and_the_outcome_at_the_end(connected: Endpoint):
    seen: list[Delta] = []
    outcome = await ask(connected, seen)
    assert text(seen) == "Let me think. Both are decimals.**9.8** is greater than 9.11."
    assert (outcome.finish_reason, outcome.reasoning_field) == ("stop", "reasoning_content")
    assert (outcome.usage.reasoning_tokens, outcome.usage.answer_tokens) == (20, 10)


async def test_the_key_is_sent_as_a_bearer_token(connected: Endpoint, endpoint: Server):
    await ask(connected)
    assert endpoint.exchanges[0].headers["Authorization"] == "Bearer canary-key"


@pytest.mark.parametrize(
    ("status", "code", "message", "error", "tries"),
    [
        (400, "content_filter", "", errors.Filtered, 1),
        (400, "context_length_exceeded", "", errors.ContextTooLong, 1),
        (400, "", "This model's maximum context length is 4096 tokens", errors.ContextTooLong, 1),
        (400, "invalid_request", "no", errors.RequestRejected, 1),
        (401, "", "", errors.NotAuthorised, 1),
        (403, "", "", errors.NotAuthorised, 1),
        (404, "", "", errors.RequestRejected, 1),
        (408, "", "", errors.EndpointFailed, 1),
        (429, "rate_limit", "", errors.RateLimited, 3),
        (429, "insufficient_quota", "", errors.RateLimited, 1),
        (500, "", "", errors.EndpointFailed, 3),
        (502, "", "", errors.EndpointFailed, 1),
        (503, "", "", errors.EndpointFailed, 3),
    ],
)
async def test_a_status_becomes_an_error_and_is_retried_only_where_that_helps(
    connected: Endpoint, endpoint: Server, status: int, code: str, message: str, error: type, tries: int
):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(status, code, message, headers={"Retry-After": "0"})

    endpoint.respond = refuse
    with pytest.raises(error) as raised:
        await ask(connected)
    assert type(raised.value) is error
    assert len(endpoint.exchanges) == tries
    assert "canary" not in str(raised.value) + raised.value.sentence


async def test_a_retry_that_succeeds_hides_the_first_failure(connected: Endpoint, endpoint: Server):
    async def refuse_once(exchange: Exchange) -> None:
        if len(endpoint.exchanges) == 1:
            await exchange.fail(503, headers={"Retry-After": "0"})
        else:
            await exchange.answer("Yes.")
            await exchange.finish()

    endpoint.respond = refuse_once
    seen: list[Delta] = []
    await ask(connected, seen)
    assert text(seen) == "Yes."


async def test_a_long_retry_after_is_shown_instead_of_waited_for(connected: Endpoint, endpoint: Server):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(429, headers={"Retry-After": "300"})

    endpoint.respond = refuse
    with pytest.raises(errors.RateLimited) as raised:
        await ask(connected)
    assert len(endpoint.exchanges) == 1
    assert "Try again in 5 minutes." in raised.value.notice(has_text=False)


async def test_a_refused_connection_is_unreachable(connected: Endpoint, endpoint: Server):
    endpoint.close()
    with pytest.raises(errors.Unreachable, match="ConnectError") as raised:  # rather than a timeout
        await ask(connected)
    assert "Cannot connect to host 127.0.0.1" in raised.value.report


async def test_a_cut_before_the_first_delta_is_retried(connected: Endpoint, endpoint: Server):
    async def cut_once(exchange: Exchange) -> None:
        if len(endpoint.exchanges) == 1:
            await exchange.raw(b": hello\n\n")
            exchange.cut()
        else:
            await exchange.answer("Yes.")
            await exchange.finish()

    endpoint.respond = cut_once
    seen: list[Delta] = []
    await ask(connected, seen)
    assert text(seen) == "Yes."
    assert len(endpoint.exchanges) == 2


@pytest.mark.parametrize(
    ("how", "error"),
    [("abort", errors.StreamCut), ("end", errors.Unfinished), ("end in mid-event", errors.Unfinished)],
)
async def test_a_cut_after_the_first_delta_keeps_it_and_is_not_retried(
    connected: Endpoint, endpoint: Server, how: str, error: type
):
    async def cut(exchange: Exchange) -> None:
        await exchange.answer("Part")
        if how == "abort":
            await exchange.gate("seen")
            exchange.cut()
        elif how == "end in mid-event":
            await exchange.raw(b'data: {"choi')

    endpoint.respond = cut
    seen: list[Delta] = []

    def sink(deltas: list[Delta]) -> None:
        seen.extend(deltas)
        endpoint.open("seen")

    request = connected.request([{"role": "user", "content": "Why?"}])
    with pytest.raises(error):
        await stream(connected.create, request, sink, stall_seconds=20)
    assert text(seen) == "Part"
    assert len(endpoint.exchanges) == 1


@pytest.mark.parametrize("data", [b": keep-alive\n\n", b'data: {"choices": [{"delta": {"content": ""}}]}\n\n'])
async def test_a_stream_without_text_stalls_although_data_keeps_arriving(
    connected: Endpoint, endpoint: Server, data: bytes
):
    async def keep_alive(exchange: Exchange) -> None:
        await exchange.answer("Part")
        for _ in range(500):  # ten seconds
            await exchange.raw(data)
            await asyncio.sleep(0.02)

    endpoint.respond = keep_alive
    seen: list[Delta] = []
    with pytest.raises(errors.Stalled):
        await ask(connected, seen, stall_seconds=0.5)
    assert text(seen) == "Part"
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>Hello</html>", "text/html"),
        (b"", "text/event-stream"),
        (b'{"ok": 1}', "application/json"),
        (b'{"choices": [{"message": {"content": "Pa', "application/json"),
        (b'data: {"type": "message_start"}\n\n', "text/event-stream"),
    ],
)
async def test_a_response_that_is_not_a_stream_is_malformed(
    connected: Endpoint, endpoint: Server, body: bytes, content_type: str
):
    async def page(exchange: Exchange) -> None:
        await exchange.start(content_type=content_type)
        await exchange.raw(body)

    endpoint.respond = page
    with pytest.raises(errors.Malformed):
        await ask(connected)


async def test_a_response_that_is_not_http_is_malformed(connected: Endpoint, endpoint: Server):
    async def garble(exchange: Exchange) -> None:
        await exchange.garbage()
        exchange.cut()

    endpoint.respond = garble
    with pytest.raises(errors.Malformed):
        await ask(connected)


async def test_what_arrived_before_a_cut_is_kept_although_text_was_gathering(connected: Endpoint, endpoint: Server):
    async def cut(exchange: Exchange) -> None:
        await exchange.answer("Part")
        await exchange.gate("gathering")
        await exchange.answer(" and more")
        exchange.cut()

    def gather_seconds() -> float:
        endpoint.open("gathering")
        return 0.5  # by then the connection is gone

    endpoint.respond = cut
    seen: list[Delta] = []
    request = connected.request([{"role": "user", "content": "Why?"}])
    with pytest.raises(errors.StreamCut):
        await stream(connected.create, request, seen.extend, stall_seconds=20, gather_seconds=gather_seconds)
    assert text(seen) == "Part and more"


async def test_an_unreadable_event_keeps_what_arrived_before_it(connected: Endpoint, endpoint: Server):
    async def garbage(exchange: Exchange) -> None:
        # In one write: what comes before the garbage in the same read counts too.
        await exchange.raw(b'data: {"choices": [{"delta": {"content": "Part"}}]}\n\ndata: {oh no\n\n')

    endpoint.respond = garbage
    seen: list[Delta] = []
    with pytest.raises(errors.Malformed):
        await ask(connected, seen)
    assert text(seen) == "Part"


async def test_a_server_that_sends_no_end_after_its_finish_reason_is_not_waited_for(
    connected: Endpoint, endpoint: Server
):
    async def linger(exchange: Exchange) -> None:
        await exchange.answer("Yes.")
        await exchange.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        await exchange.gate("never")

    endpoint.respond = linger
    outcome = await ask(connected)
    assert outcome.finish_reason == "stop"
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


def event(word: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": word}}]}).encode() + b"\n\n"


def test_a_stream_that_arrives_faster_than_it_is_read_is_read_completely(
    endpoint: Server, settings, monkeypatch: pytest.MonkeyPatch
):
    words = [f"{number} " for number in range(80_000)]
    much_is_sent = threading.Event()
    paused: list[ResponseHandler] = []
    pause_reading = ResponseHandler.pause_reading
    monkeypatch.setattr(ResponseHandler, "pause_reading", lambda self: [paused.append(self), pause_reading(self)])

    async def flood(exchange: Exchange) -> None:
        for at in range(0, len(words), 8_000):
            await exchange.raw(b"".join(map(event, words[at : at + 8_000])))
            if at >= 16_000:
                much_is_sent.set()
        await exchange.finish()

    async def read() -> str:
        connected = await open_endpoint()
        seen: list[Delta] = []

        def be_slow(deltas: list[Delta]) -> None:
            seen.extend(deltas)
            much_is_sent.wait(2)  # unless the kernel's buffers are full before

        request = connected.request([{"role": "user", "content": "Count"}])
        await stream(connected.create, request, be_slow, stall_seconds=5, gather_seconds=lambda: 0.001)
        await connected.close()
        return text(seen)

    endpoint.respond = flood
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL = endpoint.base_url, "m"
    # uvloop, which the site runs on, reads more at a time than aiohttp buffers before it pauses; asyncio does not.
    assert uvloop.run(read()) == "".join(words)
    assert paused


async def test_a_response_that_claims_to_be_compressed_is_malformed(connected: Endpoint, endpoint: Server):
    async def lie(exchange: Exchange) -> None:
        await exchange.start(headers={"Content-Encoding": "gzip"})
        await exchange.raw(event("Yes."))

    endpoint.respond = lie
    with pytest.raises(errors.Malformed):
        await ask(connected)


@pytest.mark.parametrize("tail", [b"\x00" * 50, b""], ids=["broken", "cut"])
async def test_what_arrived_before_compressed_data_breaks_is_kept(connected: Endpoint, endpoint: Server, tail: bytes):
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
        await stream(connected.create, request, sink, stall_seconds=20)
    assert text(seen) == "Part"


async def test_a_chunk_that_breaks_http_loses_nothing_that_came_with_it(connected: Endpoint, endpoint: Server):
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
        await stream(connected.create, request, sink, stall_seconds=20)
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
    connected: Endpoint, endpoint: Server, monkeypatch: pytest.MonkeyPatch
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


async def test_an_answer_that_is_not_streamed_is_read(connected: Endpoint, endpoint: Server):
    async def at_once(exchange: Exchange) -> None:
        await exchange.start(content_type="application/json")
        message = {"role": "assistant", "reasoning": "Hm. ", "content": "Yes."}
        completion = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        await exchange.raw(json.dumps(completion, indent=2).encode())

    endpoint.respond = at_once
    seen: list[Delta] = []
    outcome = await ask(connected, seen)
    assert (text(seen), outcome.finish_reason, outcome.failure) == ("Hm. Yes.", "stop", None)


async def test_an_end_without_a_finish_reason_is_not_taken_for_any(connected: Endpoint, endpoint: Server):
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
    connected: Endpoint, endpoint: Server, headers: dict[str, str], body: bytes
):
    async def refuse(exchange: Exchange) -> None:
        await exchange.start(401, headers=headers)
        await exchange.raw(body)

    endpoint.respond = refuse
    with pytest.raises(errors.NotAuthorised, match="HTTP 401"):
        await ask(connected)


async def test_the_body_of_an_error_is_not_read_for_ever(connected: Endpoint, endpoint: Server):
    async def refuse(exchange: Exchange) -> None:
        await exchange.start(400)
        while True:
            await exchange.raw(b"x" * 65_536)

    endpoint.respond = refuse
    with pytest.raises(errors.RequestRejected):
        await ask(connected)
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


async def test_an_error_says_what_the_endpoint_said_without_key_and_prompt(connected: Endpoint, endpoint: Server):
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
async def test_no_part_of_a_key_is_left_of_what_an_endpoint_says(connected: Endpoint, endpoint: Server, respond):
    endpoint.respond = respond
    with pytest.raises(errors.InferenceError) as raised:
        await ask(connected)
    assert raised.value.message  # a positive control
    assert "canary" not in raised.value.report


async def test_a_request_is_amended_once(connected: Endpoint, endpoint: Server):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(400, "unsupported", "canary-prompt")

    amended: list[errors.InferenceError] = []

    def amend(request: dict[str, object], error: errors.InferenceError) -> dict[str, object]:
        amended.append(error)
        return request | {"model": "another"}

    endpoint.respond = refuse
    request = connected.request([{"role": "user", "content": "canary-prompt"}])
    with pytest.raises(errors.RequestRejected):
        await stream(connected.create, request, lambda deltas: None, stall_seconds=20, amend=amend)
    assert [exchange.body["model"] for exchange in endpoint.exchanges] == ["m", "another"]
    assert len(amended) == 1


async def test_a_compressed_response_is_read(connected: Endpoint, endpoint: Server):
    async def compress(exchange: Exchange) -> None:
        await exchange.start(headers={"Content-Encoding": "gzip"})
        await exchange.raw(gzip.compress(event("Yes.") + b"data: [DONE]\n\n"))

    endpoint.respond = compress
    seen: list[Delta] = []
    await ask(connected, seen)
    assert text(seen) == "Yes."


async def test_cancelling_closes_the_connection_to_the_endpoint(connected: Endpoint, endpoint: Server):
    begun = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.answer("Part")
        await exchange.gate("never")

    endpoint.respond = endless
    request = connected.request([{"role": "user", "content": "Why?"}])
    asking = asyncio.create_task(stream(connected.create, request, lambda deltas: begun.set(), stall_seconds=20))
    await asyncio.wait_for(begun.wait(), 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


async def test_a_connection_is_reused_after_done(connected: Endpoint, endpoint: Server):
    await ask(connected)
    await ask(connected)
    first, second = (exchange.peer for exchange in endpoint.exchanges)
    assert first == second


async def test_hundreds_of_streams_run_at_once(connected: Endpoint, endpoint: Server):
    async def together(exchange: Exchange) -> None:
        await exchange.answer("Yes.")
        if len(endpoint.exchanges) == 250:
            endpoint.open("all have arrived")
        await exchange.gate("all have arrived")
        await exchange.finish()

    endpoint.respond = together
    outcomes = await asyncio.gather(*(ask(connected) for _ in range(250)))
    assert {outcome.finish_reason for outcome in outcomes} == {"stop"}


async def test_an_error_in_the_sink_is_not_taken_for_one_of_the_endpoint(connected: Endpoint):
    def broken(deltas: list[Delta]) -> None:
        raise ZeroDivisionError

    request = connected.request([{"role": "user", "content": "Why?"}])
    with pytest.raises(ZeroDivisionError):
        await stream(connected.create, request, broken, stall_seconds=20)
