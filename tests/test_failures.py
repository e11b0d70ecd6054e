"""Each failure of an endpoint, as a person meets it: a sentence, the prompt kept, the composer free."""

import re
from dataclasses import dataclass

import pytest

from tests.endpoint import Endpoint, Exchange, Respond, think_and_answer
from tests.site import Person


def refusing(status: int, code: str = "", **headers: str) -> Respond:
    async def respond(exchange: Exchange) -> None:
        await exchange.fail(
            status, code, "canary-detail", headers={name.replace("_", "-"): v for name, v in headers.items()}
        )

    return respond


async def cut(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.answer("Part of an answer")


async def garbage(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.raw(b"data: {oh no\n\n")


async def page(exchange: Exchange) -> None:
    await exchange.start(content_type="text/html")
    await exchange.raw(b"<h1>It works</h1>")


async def filtered(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.finish("content_filter")


async def too_short(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.finish("length")


async def silent(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.finish("stop")


async def overloaded(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.finish("insufficient_system_resource")


@dataclass(frozen=True)
class Case:
    name: str
    respond: Respond
    status: str
    sentence: str
    logged: str = ""  # what the log line names; '' where an ending is no failure


CASES = [
    Case("401", refusing(401), "failed", "refused this site&#x27;s credentials", "NotAuthorised"),
    Case("429", refusing(429, retry_after="300"), "failed", "has reached its usage limit", "RateLimited"),
    Case("quota", refusing(429, "insufficient_quota"), "failed", "has reached its usage limit", "RateLimited"),
    Case("500", refusing(500, retry_after="0"), "failed", "reported an error", "EndpointFailed"),
    Case("too long", refusing(400, "context_length_exceeded"), "failed", "too long for the model", "ContextTooLong"),
    Case("filtered before", refusing(400, "content_filter"), "filtered", "content filter blocked this", "Filtered"),
    Case("filtered after", filtered, "filtered", "content filter blocked this"),
    Case("cut", cut, "failed", "The connection to the model was lost", "StreamCut"),
    Case("garbage", garbage, "failed", "that this site cannot read", "Malformed"),
    Case("no stream", page, "failed", "that this site cannot read", "Malformed"),
    Case("out of room", too_short, "length", "reached its length limit while thinking"),
    Case("only thought", silent, "complete", "finished thinking without giving an answer"),
    Case("overloaded", overloaded, "failed", "ran out of resources mid-answer"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_failure_has_its_sentence_and_the_conversation_goes_on(
    case: Case, everybody: Person, shared_endpoint: Endpoint
):
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


def test_the_sentence_comes_in_the_live_frames_too(everybody: Person, shared_endpoint: Endpoint):
    async def wait_and_cut(exchange: Exchange) -> None:
        await exchange.answer("Part")
        await exchange.gate("watched")

    shared_endpoint.respond = wait_and_cut
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


def test_trying_again_answers_in_place_when_nothing_had_come(everybody: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = refusing(401)
    conversation = everybody.ask("Why?")
    everybody.await_end(conversation)
    key = everybody.site.uuid(conversation.strip("/").split("/")[-1])
    find = "select id from conversations_message where conversation_id = ? and role = 'assistant'"
    [(message,)] = everybody.site.rows(find, key)
    shared_endpoint.respond = think_and_answer
    everybody.post(f"/messages/{message}/retry/")
    assert [status for status, *_ in everybody.await_end(conversation)] == ["failed", "complete"]
    assert everybody.site.rows(find, key) == [(message,)]


def test_a_stream_that_stalls_is_given_up(make_site, join, endpoint: Endpoint):
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


def test_an_endpoint_that_is_not_there_is_said_to_be_out_of_reach(make_site, join, endpoint: Endpoint):
    site = make_site(OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    person = join(site)
    [(status, error, *_)] = person.await_end(person.ask("Why?"))
    assert status == "failed"
    assert "could not be reached" in error
