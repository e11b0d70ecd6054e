"""Two processes over PostgreSQL and Redis: any of them takes a prompt, a viewer, a stop."""

from collections.abc import Callable

import pytest

from tests.endpoint import Endpoint, Exchange
from tests.services import Redis
from tests.site import Person, Site

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]


@pytest.fixture
def replicas(make_site: Callable[..., Site], postgresql_database: str, redis_server: Redis) -> tuple[Site, Site]:
    shared = {"database_url": postgresql_database, "REDIS_URL": redis_server.url}
    return make_site(**shared), make_site(**shared)


async def think_then_wait(exchange: Exchange) -> None:
    await exchange.reason("First thought.")
    await exchange.gate("thought")
    await exchange.answer("The answer.")
    await exchange.finish()


def test_a_viewer_on_another_replica_sees_thought_and_end(replicas: tuple[Site, Site], endpoint: Endpoint):
    endpoint.respond = think_then_wait
    here = Person(replicas[0], "ada")
    there = here.at(replicas[1])
    conversation = here.ask("Who is there?")
    endpoint.await_reached("thought")
    with there.socket(conversation) as socket:
        frames = ""
        while "First thought." not in frames or 'data-source="live"' not in frames:
            frames += socket.recv(timeout=30)
        assert 'data-source="storage" hx-swap-oob' not in frames  # it never came from what was committed
        endpoint.open("thought")
        while "The answer." not in frames or 'data-status="complete"' not in frames:
            frames += socket.recv(timeout=30)
    assert here.answers(conversation) == [("complete", "", "First thought.", "The answer.")]
    here.close()
    there.close()


def test_a_viewer_on_another_replica_hears_of_a_queued_prompts_claim(replicas: tuple[Site, Site], endpoint: Endpoint):
    endpoint.respond = think_then_wait
    here = Person(replicas[0], "ada")
    there = here.at(replicas[1])
    conversation = here.ask("Who is there?")
    here.ask("And who else?", conversation)
    endpoint.await_reached("thought")
    with there.socket(conversation) as socket:
        frames = ""
        while "in line" not in frames:
            frames += socket.recv(timeout=30)
        endpoint.open("thought")
        while frames.count('data-status="complete"') < 2:
            frames += socket.recv(timeout=30)
    assert [status for status, *_ in here.answers(conversation)] == ["complete", "complete"]
    here.close()
    there.close()


def test_a_viewer_on_another_replica_sees_a_continued_answer_as_one_text(
    replicas: tuple[Site, Site], endpoint: Endpoint
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
    here = Person(replicas[0], "ada")
    there = here.at(replicas[1])
    conversation = here.ask("Who is there?")
    here.await_end(conversation)
    [(answer,)] = replicas[0].rows("select message_id from conversations_generation")
    here.post(f"/messages/{answer}/continue/")
    endpoint.await_reached("thought")
    with there.socket(conversation) as socket:
        frames = ""
        while "second line" not in frames or "Second thought." not in frames:
            frames += socket.recv(timeout=30)
        assert "\n\nSecond thought." in frames
        assert frames.count("<figure") == 1
        endpoint.open("thought")
        while 'data-status="complete"' not in frames:
            frames += socket.recv(timeout=30)
    assert here.answers(conversation)[-1][2:] == (
        "First thought.\n\nSecond thought.",
        "```\nfirst line\nsecond line\n```\n",
    )
    here.close()
    there.close()


def test_stop_works_on_another_replica(replicas: tuple[Site, Site], endpoint: Endpoint):
    endpoint.respond = think_then_wait
    here = Person(replicas[0], "ada")
    there = here.at(replicas[1])
    conversation = here.ask("Who is there?")
    endpoint.await_reached("thought")
    [(generation,)] = replicas[0].rows("select id from conversations_generation")
    assert there.post(f"/generations/{generation}/stop/").status_code == 302
    assert endpoint.exchanges[0].closed_by_client.wait(30)
    [(status, _, reasoning, _)] = here.await_end(conversation)
    assert (status, reasoning) == ("stopped", "First thought.")
    here.close()
    there.close()
