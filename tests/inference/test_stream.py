"""Requests over real HTTP: deltas, retries, failures, and what happens to the connection."""

import asyncio
import gzip
import threading

import pytest
import uvloop
from aiohttp.client_proto import ResponseHandler

from conversations.inference import errors
from conversations.inference.deltas import Delta
from conversations.inference.endpoint import OpenModel
from conversations.inference.stream import stream
from tests.endpoint import Endpoint as Server
from tests.endpoint import Exchange
from tests.inference.asking import ask, event, opened, text
from tests.models import model


async def test_deltas_arrive_in_order_and_the_outcome_at_the_end(connected: OpenModel):
    seen: list[Delta] = []
    outcome = await ask(connected, seen)
    assert text(seen) == "Let me think. Both are decimals.**9.8** is greater than 9.11."
    assert (outcome.finish_reason, outcome.reasoning_field) == ("stop", "reasoning_content")
    assert (outcome.usage.reasoning_tokens, outcome.usage.answer_tokens) == (20, 10)


async def test_the_key_is_sent_as_a_bearer_token(connected: OpenModel, endpoint: Server):
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
    connected: OpenModel, endpoint: Server, status: int, code: str, message: str, error: type, tries: int
):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(status, code, message, headers={"Retry-After": "0"})

    endpoint.respond = refuse
    with pytest.raises(error) as raised:
        await ask(connected)
    assert type(raised.value) is error
    assert len(endpoint.exchanges) == tries
    assert "canary" not in str(raised.value) + raised.value.sentence


@pytest.mark.parametrize(
    ("status", "code", "error", "tries"),
    [(400, "content_filter", errors.Filtered, 1), (503, "", errors.EndpointFailed, 3)],
)
async def test_an_error_is_the_same_if_an_image_was_sent(
    connected: OpenModel, endpoint: Server, status: int, code: str, error: type, tries: int
):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}

    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(status, code, "cannot answer 'canary-prompt'", headers={"Retry-After": "0"})

    endpoint.respond = refuse
    with pytest.raises(error) as raised:
        await ask(connected, content=[image, {"type": "text", "text": "canary-prompt"}])
    assert type(raised.value) is error
    assert len(endpoint.exchanges) == tries
    assert "cannot answer '…'" in raised.value.report
    assert "canary" not in raised.value.report


async def test_a_retry_that_succeeds_hides_the_first_failure(connected: OpenModel, endpoint: Server):
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


async def test_a_long_retry_after_is_shown_instead_of_waited_for(connected: OpenModel, endpoint: Server):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(429, headers={"Retry-After": "300"})

    endpoint.respond = refuse
    with pytest.raises(errors.RateLimited) as raised:
        await ask(connected)
    assert len(endpoint.exchanges) == 1
    assert "Try again in 5 minutes." in raised.value.notice(has_text=False)


async def test_a_refused_connection_is_unreachable(connected: OpenModel, endpoint: Server):
    endpoint.close()
    with pytest.raises(errors.Unreachable, match="ConnectError") as raised:  # rather than a timeout
        await ask(connected)
    assert "Cannot connect to host 127.0.0.1" in raised.value.report


async def test_a_cut_before_the_first_delta_is_retried(connected: OpenModel, endpoint: Server):
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
    connected: OpenModel, endpoint: Server, how: str, error: type
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
        await stream(connected.endpoint.create, request, sink, stall_seconds=20)
    assert text(seen) == "Part"
    assert len(endpoint.exchanges) == 1


@pytest.mark.parametrize("data", [b": keep-alive\n\n", b'data: {"choices": [{"delta": {"content": ""}}]}\n\n'])
async def test_a_stream_without_text_stalls_although_data_keeps_arriving(
    connected: OpenModel, endpoint: Server, data: bytes
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
    connected: OpenModel, endpoint: Server, body: bytes, content_type: str
):
    async def page(exchange: Exchange) -> None:
        await exchange.start(content_type=content_type)
        await exchange.raw(body)

    endpoint.respond = page
    with pytest.raises(errors.Malformed):
        await ask(connected)


async def test_a_response_that_is_not_http_is_malformed(connected: OpenModel, endpoint: Server):
    async def garble(exchange: Exchange) -> None:
        await exchange.garbage()
        exchange.cut()

    endpoint.respond = garble
    with pytest.raises(errors.Malformed):
        await ask(connected)


async def test_what_arrived_before_a_cut_is_kept_although_text_was_gathering(connected: OpenModel, endpoint: Server):
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
        await stream(connected.endpoint.create, request, seen.extend, stall_seconds=20, gather_seconds=gather_seconds)
    assert text(seen) == "Part and more"


async def test_an_unreadable_event_keeps_what_arrived_before_it(connected: OpenModel, endpoint: Server):
    async def garbage(exchange: Exchange) -> None:
        # In one write: what comes before the garbage in the same read counts too.
        await exchange.raw(b'data: {"choices": [{"delta": {"content": "Part"}}]}\n\ndata: {oh no\n\n')

    endpoint.respond = garbage
    seen: list[Delta] = []
    with pytest.raises(errors.Malformed):
        await ask(connected, seen)
    assert text(seen) == "Part"


async def test_a_server_that_sends_no_end_after_its_finish_reason_is_not_waited_for(
    connected: OpenModel, endpoint: Server
):
    async def linger(exchange: Exchange) -> None:
        await exchange.answer("Yes.")
        await exchange.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        await exchange.gate("never")

    endpoint.respond = linger
    outcome = await ask(connected)
    assert outcome.finish_reason == "stop"
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


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
        seen: list[Delta] = []

        def be_slow(deltas: list[Delta]) -> None:
            seen.extend(deltas)
            much_is_sent.wait(2)  # unless the kernel's buffers are full before

        async with opened(settings, model(endpoint.base_url)) as connected:
            request = connected.request([{"role": "user", "content": "Count"}])
            create = connected.endpoint.create
            await stream(create, request, be_slow, stall_seconds=5, gather_seconds=lambda: 0.001)
        return text(seen)

    endpoint.respond = flood
    # uvloop, which the site runs on, reads more at a time than aiohttp buffers before it pauses; asyncio does not.
    assert uvloop.run(read()) == "".join(words)
    assert paused


async def test_a_compressed_response_is_read(connected: OpenModel, endpoint: Server):
    async def compress(exchange: Exchange) -> None:
        await exchange.start(headers={"Content-Encoding": "gzip"})
        await exchange.raw(gzip.compress(event("Yes.") + b"data: [DONE]\n\n"))

    endpoint.respond = compress
    seen: list[Delta] = []
    await ask(connected, seen)
    assert text(seen) == "Yes."


async def test_cancelling_closes_the_connection_to_the_endpoint(connected: OpenModel, endpoint: Server):
    begun = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.answer("Part")
        await exchange.gate("never")

    endpoint.respond = endless
    request = connected.request([{"role": "user", "content": "Why?"}])
    asking = asyncio.create_task(
        stream(connected.endpoint.create, request, lambda deltas: begun.set(), stall_seconds=20)
    )
    await asyncio.wait_for(begun.wait(), 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


async def test_a_connection_is_reused_after_done(connected: OpenModel, endpoint: Server):
    await ask(connected)
    await ask(connected)
    first, second = (exchange.peer for exchange in endpoint.exchanges)
    assert first == second


async def test_hundreds_of_streams_run_at_once(connected: OpenModel, endpoint: Server):
    async def together(exchange: Exchange) -> None:
        await exchange.answer("Yes.")
        if len(endpoint.exchanges) == 250:
            endpoint.open("all have arrived")
        await exchange.gate("all have arrived")
        await exchange.finish()

    endpoint.respond = together
    outcomes = await asyncio.gather(*(ask(connected) for _ in range(250)))
    assert {outcome.finish_reason for outcome in outcomes} == {"stop"}


async def test_an_error_in_the_sink_is_not_taken_for_one_of_the_endpoint(connected: OpenModel):
    def broken(deltas: list[Delta]) -> None:
        raise ZeroDivisionError

    request = connected.request([{"role": "user", "content": "Why?"}])
    with pytest.raises(ZeroDivisionError):
        await stream(connected.endpoint.create, request, broken, stall_seconds=20)
