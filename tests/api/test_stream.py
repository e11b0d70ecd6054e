"""Answers as server-sent events, from a running site."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest

from conversations.consumers import SOCKETS
from tests.api.streams import Event, connect, make_token, stream, text_of
from tests.endpoint import Endpoint, Exchange
from tests.site import Person, Site
from tests.upgrade.stored import execute

# Statements for the id of a user.
ENDINGS = {
    "expired": "update conversations_apitoken set expires_at = created_at where owner_id = {}",
    "deactivated": "update conversations_user set is_active = false where id = {}",
}


async def step_by_step(exchange: Exchange) -> None:
    await exchange.reason("Let me ")
    await exchange.gate("think")
    await exchange.reason("think.")
    await exchange.gate("answer")
    await exchange.answer("Yes, ")
    await exchange.gate("end")
    await exchange.answer("it is: ☃")
    await exchange.finish()


@pytest.fixture(scope="module")
def secret(everybody: Person) -> str:
    return make_token(everybody)


@pytest.fixture
def api(shared_site: Site, secret: str) -> Iterator[httpx2.Client]:
    with connect(shared_site.url, secret) as api:
        yield api


def ask(api: httpx2.Client, content: str = "Why?") -> int:
    response = api.post("/conversations/", json={"content": content})
    assert response.status_code == 201, response.text
    return response.json()["generation"]["id"]


def until(found: Iterator[Event], name: str, text: str = "") -> list[Event]:
    """Return the events up to the first with this name in which the text so far ends with `text`."""
    seen = []
    for event in found:
        seen.append(event)
        if event.name == name and text_of(seen, name).endswith(text):
            return seen
    raise AssertionError(f"the stream ended after {seen}")


def test_an_answer_arrives_while_it_is_written(api: httpx2.Client, shared_endpoint: Endpoint):
    shared_endpoint.respond = step_by_step
    generation = ask(api)
    with stream(api, generation) as found:
        thinking = until(found, "reasoning", "Let me ")
        assert [event.data["status"] for event in thinking if event.name == "status"][-1] == "thinking"
        shared_endpoint.open("think")
        until(found, "reasoning", "think.")
        shared_endpoint.open("answer")
        answering = until(found, "answer", "Yes, ")
        shared_endpoint.open("end")
        rest = list(found)
    everything = [*thinking, *answering, *rest]
    assert text_of(everything, "answer") == "Yes, it is: ☃"
    assert rest[-1].name == "end"
    assert rest[-1].data["status"] == "complete"
    assert rest[-1].data["answer_tokens"] == 10
    answer = api.get(f"/generations/{generation}/?reasoning=true").json()
    assert (answer["content"], answer["reasoning"]) == ("Yes, it is: ☃", "Let me think.")


def test_a_stream_goes_on_where_another_ended(api: httpx2.Client, shared_endpoint: Endpoint):
    shared_endpoint.respond = step_by_step
    generation = ask(api)
    shared_endpoint.open("think")
    shared_endpoint.open("answer")
    with stream(api, generation) as found:
        first = until(found, "answer", "Yes, ")
    with stream(api, generation, first[-1].id) as found:
        shared_endpoint.open("end")
        rest = list(found)
    assert text_of([*first, *rest], "reasoning") == "Let me think."
    assert text_of(rest, "reasoning") == ""
    assert text_of(rest, "answer") == "it is: ☃"
    with stream(api, generation, first[-1].id) as found:  # of an answer that has ended
        assert text_of(list(found), "answer") == "it is: ☃"
    with stream(api, generation, rest[-1].id) as found:
        assert [event.name for event in found] == ["end"]
    with stream(api, generation) as found:
        whole = list(found)
    assert (text_of(whole, "reasoning"), text_of(whole, "answer")) == ("Let me think.", "Yes, it is: ☃")


@pytest.mark.parametrize("after", ["1-4-1-0-0", "x", "9" * 60, "-", "1-9999999-1-9999999-1"])
def test_a_position_that_is_not_in_the_answer_starts_it_again(
    api: httpx2.Client, shared_endpoint: Endpoint, after: str
):
    generation = ask(api)
    with stream(api, generation, after) as found:
        events = list(found)
    assert text_of(events, "answer") == "**9.8** is greater than 9.11."
    assert ("reset" in [event.name for event in events]) == after.startswith("1-")


def test_text_that_turns_out_to_be_reasoning_is_sent_again(api: httpx2.Client, shared_endpoint: Endpoint):
    async def close_late(exchange: Exchange) -> None:
        await exchange.answer("Hm, a thought")
        await exchange.gate("close")
        await exchange.answer(" ends here.\n</think>\nThe answer.")
        await exchange.finish()

    shared_endpoint.respond = close_late
    generation = ask(api)
    with stream(api, generation) as found:
        first = until(found, "answer", "thought")
        shared_endpoint.open("close")
        rest = list(found)
    assert "reset" in [event.name for event in rest]
    everything = [*first, *rest]
    assert text_of(everything, "reasoning").strip() == "Hm, a thought ends here."
    assert text_of(everything, "answer") == "The answer."
    with stream(api, generation, first[-1].id) as found:
        again = list(found)
    assert again[0].name == "reset"
    assert text_of(again, "answer") == "The answer."


def test_a_question_that_is_stopped_while_it_waits_ends_its_stream(api: httpx2.Client, shared_endpoint: Endpoint):
    shared_endpoint.respond = step_by_step
    first = api.post("/conversations/", json={"content": "Why?"}).json()
    shared_endpoint.await_reached("think")
    second = api.post(f"/conversations/{first['conversation']}/messages/", json={"content": "And?"}).json()
    with stream(api, second["generation"]["id"]) as found:
        assert until(found, "status")[-1].data["status"] == "queued"
        assert api.post(f"/generations/{second['generation']['id']}/stop/").status_code == 202
        assert list(found)[-1].data["status"] == "stopped"
    with stream(api, first["generation"]["id"]) as found:
        until(found, "reasoning", "Let me ")
        api.post(f"/generations/{first['generation']['id']}/stop/")
        assert list(found)[-1].data["status"] == "stopped"


@pytest.mark.parametrize("how", ["revoked", *ENDINGS])
def test_a_token_that_ends_ends_its_streams(
    how: str, make_person: Callable[[], Person], shared_site: Site, shared_endpoint: Endpoint
):
    shared_endpoint.respond = step_by_step
    person = make_person()
    [(pk,)] = shared_site.rows("select id from conversations_user where username = ?", person.name)
    with connect(shared_site.url, make_token(person)) as api, stream(api, ask(api)) as found:
        until(found, "reasoning", "Let me ")
        if how == "revoked":
            [(token,)] = shared_site.rows("select id from conversations_apitoken where owner_id = ?", pk)
            person.post("/accounts/api-tokens/", revoke=str(token))
        else:  # no event tells the site
            execute(shared_site.database_url, ENDINGS[how].format(pk))
        last = list(found)[-1]
    is_stopped = how == "deactivated" and last.data.get("status") == "stopped"  # which may be noticed first
    assert is_stopped or (last.name, last.data) == ("error", {"code": "unauthorized"})


def test_a_stream_of_a_deleted_conversation_ends(
    make_person: Callable[[], Person], shared_site: Site, shared_endpoint: Endpoint
):
    shared_endpoint.respond = step_by_step
    person = make_person()
    with connect(shared_site.url, make_token(person)) as api:
        asked = api.post("/conversations/", json={"content": "Why?"}).json()
        with stream(api, asked["generation"]["id"]) as found:
            until(found, "reasoning", "Let me ")
            assert person.post(f"/conversations/{asked['conversation']}/delete/").status_code == 302
            last = list(found)[-1]
    assert (last.name, last.data) == ("error", {"code": "deleted"})


def test_only_so_many_streams_are_open_at_a_time(api: httpx2.Client, shared_endpoint: Endpoint):
    shared_endpoint.respond = step_by_step
    generation = ask(api)
    with ExitStack() as stack:
        opened = [stack.enter_context(stream(api, generation)) for _ in range(SOCKETS)]
        for found in opened:
            until(found, "reasoning", "Let me ")
        refused = api.get(f"/generations/{generation}/stream/")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
        for gate in ("think", "answer", "end"):
            shared_endpoint.open(gate)
        for found in opened:
            assert list(found)[-1].name == "end"
    with stream(api, generation) as found:
        assert list(found)[-1].name == "end"


def test_a_stream_that_the_site_ends_goes_on_after_a_restart(
    site: Site, join: Callable[..., Person], endpoint: Endpoint
):
    endpoint.respond = step_by_step
    secret = make_token(join(site))
    with connect(site.url, secret) as api:
        generation = ask(api)
        with stream(api, generation) as found:
            first = until(found, "reasoning", "Let me ")
            assert site.stop() == 0
            first += list(found)
    assert first[-1].name != "end" or first[-1].data["status"] == "interrupted"
    site.start()
    with connect(site.url, secret) as api, stream(api, generation, first[-1].id) as found:
        rest = list(found)
    assert text_of([*first, *rest], "reasoning").startswith("Let me ")
    assert rest[-1].name == "end"
