"""Two replicas over PostgreSQL and Redis: each can accept prompts, viewers and stop requests."""

import contextlib
import uuid
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.api.streams import Event, connect, make_token, stream, text_of
from tests.conftest import connection
from tests.endpoint import Endpoint, Exchange
from tests.services import MIGRATED, PostgreSQL, Redis
from tests.site import WAIT, Person, Site
from tests.upgrade.stored import execute

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]
DEACTIVATE = "update conversations_user set is_active = false where username = '{name}'"


@pytest.fixture(scope="module")
def running(postgresql: PostgreSQL, redis_server: Redis) -> Iterator[tuple[Site, Site, Endpoint]]:
    """Two replicas and the endpoint that both ask."""
    endpoint = Endpoint()
    variables = connection(endpoint) | {"REDIS_URL": redis_server.url}
    url = postgresql.create_database(MIGRATED)
    with contextlib.ExitStack() as stack:
        stack.callback(endpoint.close)
        sites = []
        for _ in range(2):
            sites.append(Site(url, **variables))
            stack.callback(sites[-1].kill)
        yield *sites, endpoint


@pytest.fixture
def endpoint(running: tuple[Site, Site, Endpoint]) -> Endpoint:
    endpoint = running[-1]
    endpoint.reset()
    return endpoint


@pytest.fixture
def here(running: tuple[Site, Site, Endpoint]) -> Iterator[Person]:
    """Somebody at the first replica."""
    with contextlib.closing(Person(running[0], f"person{uuid.uuid4().hex[:12]}")) as person:
        yield person


@pytest.fixture
def there(here: Person, running: tuple[Site, Site, Endpoint]) -> Iterator[Person]:
    """The same person at the second replica."""
    with contextlib.closing(here.at(running[1])) as person:
        yield person


async def think_then_wait(exchange: Exchange) -> None:
    await exchange.reason("First thought.")
    await exchange.gate("thought")
    await exchange.answer("The answer.")
    await exchange.finish()


def test_a_viewer_on_another_replica_sees_reasoning_and_outcome(here: Person, there: Person, endpoint: Endpoint):
    endpoint.respond = think_then_wait
    conversation = here.ask("Who is there?")
    endpoint.await_reached("thought")
    with there.socket(conversation) as socket:
        frames = ""
        while "First thought." not in frames or 'data-source="live"' not in frames:
            frames += socket.recv(timeout=60)
        assert 'data-source="storage" hx-swap-oob' not in frames  # it was never read from the database
        endpoint.open("thought")
        while "The answer." not in frames or 'data-status="complete"' not in frames:
            frames += socket.recv(timeout=60)
    assert here.answers(conversation) == [("complete", "", "First thought.", "The answer.")]


def test_a_viewer_on_another_replica_sees_a_queued_prompt_start(here: Person, there: Person, endpoint: Endpoint):
    endpoint.respond = think_then_wait
    conversation = here.ask("Who is there?")
    here.ask("And who else?", conversation)
    endpoint.await_reached("thought")
    with there.socket(conversation) as socket:
        frames = ""
        while "in line" not in frames:
            frames += socket.recv(timeout=60)
        endpoint.open("thought")
        while frames.count('data-status="complete"') < 2:
            frames += socket.recv(timeout=60)
    assert [status for status, *_ in here.answers(conversation)] == ["complete", "complete"]


def continued_answer(person: Person) -> tuple[str, int]:
    """Ask, and continue the answer when it has ended; return the conversation and the continuation's generation."""
    conversation = person.ask("Who is there?")
    person.await_end(conversation)
    key = person.site.uuid(conversation)
    [(answer,)] = person.site.rows("select message_id from conversations_generation where conversation_id = ?", key)
    person.post(f"/messages/{answer}/continue/")
    [(generation,)] = person.site.rows("select max(id) from conversations_generation where conversation_id = ?", key)
    return conversation, generation


def test_a_viewer_on_another_replica_sees_a_continued_answer_as_one_text(
    here: Person, there: Person, endpoint: Endpoint
):
    async def cut_then_wait(exchange: Exchange) -> None:
        if len(exchange.body["messages"]) == 1:
            await exchange.reason("First thought.")
            await exchange.answer("```\nfirst line\n")
            await exchange.finish("length")
            return
        await exchange.reason("Second thought.")
        await exchange.answer("second line\n")
        await exchange.gate("thought")
        await exchange.answer("```\n")
        await exchange.finish()

    endpoint.respond = cut_then_wait
    conversation, _ = continued_answer(here)
    endpoint.await_reached("thought")
    with there.socket(conversation) as socket:
        frames = ""
        while "second line" not in frames or "Second thought." not in frames:
            frames += socket.recv(timeout=60)
        assert "\n\nSecond thought." in frames
        assert frames.count("<figure") == 1
        endpoint.open("thought")
        while 'data-status="complete"' not in frames:
            frames += socket.recv(timeout=60)
    assert here.answers(conversation)[-1][2:] == (
        "First thought.\n\nSecond thought.",
        "```\nfirst line\nsecond line\n```\n",
    )


def test_a_stream_of_the_api_goes_on_at_another_replica(here: Person, there: Person, endpoint: Endpoint):
    async def cut_then_wait(exchange: Exchange) -> None:
        if len(exchange.body["messages"]) == 1:
            await exchange.reason("First thought.")
            await exchange.answer("First line, ")
            await exchange.finish("length")
            return
        await exchange.reason("Second thought.")
        await exchange.gate("thought")
        await exchange.answer("second line.")
        await exchange.finish()

    endpoint.respond = cut_then_wait
    _, generation = continued_answer(here)
    secret = make_token(here)
    endpoint.await_reached("thought")
    found: list[Event] = []
    for person in (here, there):  # one of them has the runner
        after = found[-1].id if found else ""
        with connect(person.site.url, secret) as api, stream(api, generation, after) as events:
            for event in events:
                found.append(event)
                if person is there and event.name == "status":
                    endpoint.open("thought")
                if person is here and text_of(found, "reasoning").endswith("Second thought."):
                    break
    assert text_of(found, "reasoning") == "First thought.\n\nSecond thought."
    assert text_of(found, "answer") == "First line, second line."
    assert "reset" not in [event.name for event in found]
    assert found[-1].data["status"] == "complete"


def test_a_token_is_revoked_at_all_replicas_and_by_deactivation(here: Person, there: Person, endpoint: Endpoint):
    endpoint.respond = think_then_wait
    [(pk,)] = here.site.rows("select id from conversations_user where username = ?", here.name)
    secret, other = make_token(here), make_token(here)
    with connect(here.site.url, secret) as asking, connect(there.site.url, secret) as api:
        asked = asking.post("/conversations/", json={"content": "Who is there?"}).json()
        with stream(api, asked["generation"]["id"]) as events:
            assert next(event for event in events if event.name == "reasoning")
            [(token,)] = here.site.rows("select min(id) from conversations_apitoken where owner_id = ?", pk)
            here.post("/accounts/api-tokens/", revoke=str(token))
            assert list(events)[-1].data == {"code": "unauthorized"}
        assert api.get("/").status_code == 401
    with connect(there.site.url, other) as api:
        assert api.get("/").status_code == 200
        execute(here.site.database_url, DEACTIVATE.format(name=here.name))
        execute(here.site.database_url, f"update conversations_user set is_active = true where id = {pk}")  # noqa: S608
        assert api.get("/").status_code == 401


def test_a_user_who_is_deactivated_receives_nothing_at_any_replica(here: Person, there: Person, endpoint: Endpoint):
    endpoint.respond = think_then_wait
    conversation = here.ask("Who is there?")
    endpoint.await_reached("thought")
    with here.socket(conversation) as socket, there.socket(conversation) as other:
        for each in (socket, other):
            while "First thought." not in each.recv(timeout=WAIT):
                pass
        # Behind the site's back: no event is published.
        execute(here.site.database_url, DEACTIVATE.format(name=here.name))
        for each in (socket, other):
            with pytest.raises(ConnectionClosed) as closed:
                read_to_the_end(each)
            assert closed.value.rcvd.code == 4401
    assert endpoint.exchanges[0].closed_by_client.wait(WAIT)
    here.site.await_rows("select 1 from conversations_generation where status = 'stopped'")
    assert here.answers(conversation) == [
        ("stopped", "Stopped because the account was deactivated.", "First thought.", "")
    ]


def read_to_the_end(socket: ClientConnection) -> None:
    """Read until the socket closes."""
    while True:
        socket.recv(timeout=WAIT)
