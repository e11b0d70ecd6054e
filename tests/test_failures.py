"""The failures of an endpoint, as users see them: a notice, with the prompt saved and the composer ready.

What the endpoint itself said is in the log, without keys and prompts, and not on the page.
"""

import re
from dataclasses import dataclass

import pytest

from tests.endpoint import Endpoint, Exchange, Respond, think_and_answer
from tests.site import Person


def fail_with(status: int, code: str = "", **headers: str) -> Respond:
    async def respond(exchange: Exchange) -> None:
        message = "Own words, with canary-key and canary-prompt"
        await exchange.fail(status, code, message, headers={name.replace("_", "-"): v for name, v in headers.items()})

    return respond


async def break_off(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.answer("Part of an answer")


async def cut(exchange: Exchange) -> None:
    await exchange.event({"choices": []})
    exchange.cut()


async def report_an_error(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.event({"error": {"code": 502, "message": "Own words"}})


def finish_with(reason: str, *texts: str) -> Respond:
    async def respond(exchange: Exchange) -> None:
        for text in texts:
            await exchange.answer(text)
        await exchange.finish(reason)

    return respond


async def refuse_to_answer(exchange: Exchange) -> None:
    await exchange.delta(refusal="Part of an answer")
    await exchange.finish()


async def call_a_tool(exchange: Exchange) -> None:
    await exchange.delta(tool_calls=[{"index": 0, "function": {"name": "search", "arguments": "{}"}}])
    await exchange.finish("tool_calls")


async def give_no_reason(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.raw(b"data: [DONE]\n\n")


async def respond_at_once(exchange: Exchange) -> None:
    await exchange.start(content_type="application/json")
    await exchange.raw(b'{"choices": [{"message": {"content": "Part of an answer"}, "finish_reason": "MAX_TOKENS"}]}')


async def nest_deeply(exchange: Exchange) -> None:
    await exchange.raw(b"data: " + b"[" * 100_000 + b"\n\n")


async def send_invalid_json(exchange: Exchange) -> None:
    await exchange.answer("Part of an answer")
    await exchange.raw(b"data: {oh no\n\n")


async def send_html(exchange: Exchange) -> None:
    await exchange.start(content_type="text/html")
    await exchange.raw(b"<h1>It works</h1>")


async def reach_length_limit(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.finish("length")


async def only_think(exchange: Exchange) -> None:
    await exchange.reason("Part of a thought")
    await exchange.finish("stop")


@dataclass(frozen=True)
class Case:
    name: str
    respond: Respond
    status: str
    sentence: str
    logged: str = ""  # the error's name in the log; empty if nothing is logged
    saved: str = "What arrived has been saved."


CASES = [
    Case("401", fail_with(401), "failed", "refused this site&#x27;s credentials", "NotAuthorised"),
    Case("429", fail_with(429, retry_after="300"), "failed", "has reached its usage limit", "RateLimited"),
    Case("quota", fail_with(429, "insufficient_quota"), "failed", "has reached its usage limit", "RateLimited"),
    Case("500", fail_with(500, retry_after="0"), "failed", "reported an error", "EndpointFailed"),
    Case("too long", fail_with(400, "context_length_exceeded"), "failed", "too long for the model", "ContextTooLong"),
    Case("filtered before", fail_with(400, "content_filter"), "filtered", "content filter blocked this", "Filtered"),
    Case("rejected", fail_with(400), "failed", "did not accept this site&#x27;s request", "RequestRejected"),
    Case(
        "filtered after", finish_with("SAFETY", "Part of an answer"), "filtered", "content filter blocked", "Filtered"
    ),
    Case("cut", cut, "failed", "The connection to the model was lost", "StreamCut"),
    Case("broken off", break_off, "failed", "ended its response before the answer was finished", "Unfinished"),
    Case("error", report_an_error, "failed", "The model endpoint reported an error", "EndpointFailed"),
    Case("abort", finish_with("abort"), "failed", "stopped this answer before it was finished", "Aborted"),
    Case("refusal", refuse_to_answer, "filtered", "The model declined to answer", "Refused"),
    Case("tool", call_a_tool, "failed", "tried to use a tool", "ToolCalled"),
    Case("reason", finish_with("x", "Part of an answer"), "interrupted", "does not know. It may be", "Unexplained"),
    Case("no reason", give_no_reason, "complete", "did not say whether this answer is complete", saved=""),
    Case("at once", respond_at_once, "length", "The answer reached its length limit.", saved=""),
    Case("nested", nest_deeply, "failed", "that this site cannot read", "Malformed"),
    Case("garbage", send_invalid_json, "failed", "that this site cannot read", "Malformed"),
    Case("no stream", send_html, "failed", "that this site cannot read", "Malformed"),
    Case("out of room", reach_length_limit, "length", "reached its length limit while thinking", saved=""),
    Case("only thought", only_think, "complete", "finished thinking without giving an answer", saved=""),
    Case("blank", finish_with("stop", "\n"), "complete", "finished without giving an answer", saved=""),
    Case(
        "overloaded",
        finish_with("insufficient_system_resource", "Part of an answer"),
        "failed",
        "ran out of resources",
        "OutOfResources",
    ),
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
    assert "Own words" not in page
    if case.saved:
        assert (case.saved in page) == bool(reasoning or content)
        assert ("Your question has been saved." in page) == (not reasoning and not content)
    assert ("Part of an answer" in page) == ("Part of an answer" in content)
    thought = re.search(r'href="(/messages/\d+/reasoning/)"', page)
    assert (thought is not None) == bool(reasoning)
    assert not thought or "Part of a thought" in person.http.get(thought[1]).text
    assert 'data-action="retry"' in page
    assert 'data-action="stop"' not in page
    if case.logged:
        line = site.await_line(f": {case.logged}: ", after=printed)
        assert "canary" not in line
        assert ("Own words" in line) == ("HTTP" in line or "error in the stream" in line)
    assert not [line for line in site.lines[printed:] if "Traceback" in line or "canary-key" in line]
    shared_endpoint.respond = think_and_answer
    person.ask("Go on", conversation)
    assert person.await_end(conversation)[-1][0] == "complete"


def test_a_failure_is_shown_in_live_frames(everybody: Person, shared_endpoint: Endpoint):
    async def wait_and_break_off(exchange: Exchange) -> None:
        await exchange.answer("Part")
        await exchange.gate("watched")
        exchange.cut()

    shared_endpoint.respond = wait_and_break_off
    conversation = everybody.ask("Why?")
    with everybody.socket(conversation) as socket:
        frames = ""
        while "Part" not in frames:
            frames += socket.recv(timeout=60)
        shared_endpoint.open("watched")
        while 'data-status="failed"' not in frames:
            frames += socket.recv(timeout=60)
        while 'data-action="send"' not in frames.rpartition('data-status="failed"')[2]:
            frames += socket.recv(timeout=60)
    assert "The connection to the model was lost" in frames
    assert 'data-action="retry"' in frames


def test_retrying_a_failure_without_text_reuses_the_message(everybody: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = fail_with(401)
    conversation = everybody.ask("Why?")
    everybody.await_end(conversation)
    key = everybody.site.uuid(conversation)
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
    assert endpoint.exchanges[0].closed_by_client.wait(60)


def test_an_unreachable_endpoint_is_reported(make_site, join, endpoint: Endpoint):
    site = make_site(OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    person = join(site)
    [(status, error, *_)] = person.await_end(person.ask("Why?"))
    assert status == "failed"
    assert "could not be reached" in error
