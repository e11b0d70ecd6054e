"""The failures of an endpoint, as users see them: a notice, with the prompt saved and the composer ready."""

import re
from dataclasses import dataclass

import pytest

from tests.endpoint import Endpoint, Exchange, Respond, think_and_answer
from tests.site import Person


def fail_with(status: int, code: str = "", **headers: str) -> Respond:
    async def respond(exchange: Exchange) -> None:
        await exchange.fail(
            status, code, "canary-detail", headers={name.replace("_", "-"): v for name, v in headers.items()}
        )

    return respond


async def break_off(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.answer("Part of an answer")


async def send_invalid_json(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.raw(b"data: {oh no\n\n")


async def send_html(exchange: Exchange) -> None:
    await exchange.start(content_type="text/html")
    await exchange.raw(b"<h1>It works</h1>")


async def filter_answer(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.finish("content_filter")


async def reach_length_limit(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.finish("length")


async def only_think(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.finish("stop")


async def run_out_of_resources(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.finish("insufficient_system_resource")


@dataclass(frozen=True)
class Case:
    name: str
    respond: Respond
    status: str
    sentence: str
    logged: str = ""  # the error's name in the log; empty if nothing is logged


CASES = [
    Case("401", fail_with(401), "failed", "refused this site&#x27;s credentials", "NotAuthorised"),
    Case("429", fail_with(429, retry_after="300"), "failed", "has reached its usage limit", "RateLimited"),
    Case("quota", fail_with(429, "insufficient_quota"), "failed", "has reached its usage limit", "RateLimited"),
    Case("500", fail_with(500, retry_after="0"), "failed", "reported an error", "EndpointFailed"),
    Case("too long", fail_with(400, "context_length_exceeded"), "failed", "too long for the model", "ContextTooLong"),
    Case("filtered before", fail_with(400, "content_filter"), "filtered", "content filter blocked this", "Filtered"),
    Case("filtered after", filter_answer, "filtered", "content filter blocked this"),
    Case("cut", break_off, "failed", "The connection to the model was lost", "StreamCut"),
    Case("garbage", send_invalid_json, "failed", "that this site cannot read", "Malformed"),
    Case("no stream", send_html, "failed", "that this site cannot read", "Malformed"),
    Case("out of room", reach_length_limit, "length", "reached its length limit while thinking"),
    Case("only thought", only_think, "complete", "finished thinking without giving an answer"),
    Case("overloaded", run_out_of_resources, "failed", "ran out of resources mid-answer"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_failure_is_shown_and_the_conversation_can_continue(case: Case, everybody: Person, shared_endpoint: Endpoint):
    person, site = everybody, everybody.site
    shared_endpoint.respond = case.respond
    printed = len(site.lines)
    conversation = person.ask("canary-prompt")
    [(status, _, reasoning, content)] = person.await_end(conversation)
    assert status == case.status
    page = person.http.get(conversation).text
    assert case.sentence in page
    assert "canary-prompt" in page
    assert "canary-detail" not in page
    assert ("Part of an answer" in page) == ("Part of an answer" in content)
    thought = re.search(r'href="(/messages/\d+/reasoning/)"', page)
    assert (thought is not None) == bool(reasoning)
    assert not thought or "Part of a thought" in person.http.get(thought[1]).text
    assert 'data-action="retry"' in page
    assert 'data-action="stop"' not in page
    if case.logged:
        line = site.await_line(f": {case.logged}: ", after=printed)
        assert "canary" not in line
    assert not [line for line in site.lines[printed:] if "Traceback" in line or "canary-key" in line]
    shared_endpoint.respond = think_and_answer
    person.ask("Go on", conversation)
    assert person.await_end(conversation)[-1][0] == "complete"


def test_a_failure_is_shown_in_live_frames(everybody: Person, shared_endpoint: Endpoint):
    async def wait_and_break_off(exchange: Exchange) -> None:
        await exchange.answer("Part")
        await exchange.gate("watched")

    shared_endpoint.respond = wait_and_break_off
    conversation = everybody.ask("Why?")
    with everybody.socket(conversation) as socket:
        frames = ""
        while "Part" not in frames:
            frames += socket.recv(timeout=30)
        shared_endpoint.open("watched")
        while 'data-status="failed"' not in frames:
            frames += socket.recv(timeout=30)
        while 'data-action="send"' not in frames.rpartition('data-status="failed"')[2]:
            frames += socket.recv(timeout=30)
    assert "The connection to the model was lost" in frames
    assert 'data-action="retry"' in frames


def test_retrying_a_failure_without_text_reuses_the_message(everybody: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = fail_with(401)
    conversation = everybody.ask("Why?")
    everybody.await_end(conversation)
    key = everybody.site.uuid(conversation.strip("/").split("/")[-1])
    find = "select id from conversations_message where conversation_id = ? and role = 'assistant'"
    [(message,)] = everybody.site.rows(find, key)
    shared_endpoint.respond = think_and_answer
    everybody.post(f"/messages/{message}/retry/")
    assert [status for status, *_ in everybody.await_end(conversation)] == ["failed", "complete"]
    assert everybody.site.rows(find, key) == [(message,)]


def test_a_stalled_stream_fails(make_site, join, endpoint: Endpoint):
    async def stall(exchange: Exchange) -> None:
        await exchange.reason("Part of a thought")
        await exchange.gate("never")

    endpoint.respond = stall
    site = make_site(STALL_SECONDS=1)
    person = join(site)
    conversation = person.ask("Why?")
    [(status, error, reasoning, _)] = person.await_end(conversation)
    assert (status, reasoning) == ("failed", "Part of a thought")
    assert "stopped responding" in error
    assert endpoint.exchanges[0].closed_by_client.wait(30)


def test_an_unreachable_endpoint_is_reported(make_site, join, endpoint: Endpoint):
    site = make_site(OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    person = join(site)
    [(status, error, *_)] = person.await_end(person.ask("Why?"))
    assert status == "failed"
    assert "could not be reached" in error
