"""Stop at either replica, in every phase, with and without Redis: the connection to the model is closed at once."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.endpoint import Exchange
from tests.faults.baseline import Baseline
from tests.faults.conftest import Replicas
from tests.screen import Tab
from tests.services import Redis
from tests.site import Person

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]

WAIT = 60  # seconds
# The text, as (reasoning, answer), when a generation is stopped in each phase.
PHASES = {
    "queued": ("", ""),
    "silent": ("", ""),
    "thinking": ("A thought.", ""),
    "answering": ("A thought.", "A word."),
}


async def until_phase(exchange: Exchange) -> None:
    """Send the text of the phase that the prompt names, then wait."""
    phase = exchange.body["messages"][-1]["content"]
    await exchange.start()
    reasoning, answer = PHASES.get(phase, ("", ""))
    if reasoning:
        await exchange.reason(reasoning)
    if answer:
        await exchange.answer(answer)
    await exchange.gate(phase)
    await exchange.finish()


@contextlib.contextmanager
def alive(redis: Redis) -> Iterator[None]:
    yield
    assert redis.answers()


@contextlib.contextmanager
def dead(redis: Redis) -> Iterator[None]:
    redis.kill()
    yield
    assert not redis.answers()
    redis.start()


@contextlib.contextmanager
def frozen(redis: Redis) -> Iterator[None]:
    redis.freeze()
    yield
    assert not redis.answers()
    redis.thaw()


@dataclass(frozen=True)
class Running:
    """A generation in one phase, and whether to stop it at the replica that does not run it (`elsewhere`)."""

    phase: str
    elsewhere: bool
    conversation: str
    generation: int
    exchange: Exchange | None  # with the model; none while the generation is queued


def ask(replicas: Replicas, person: Person, phase: str, elsewhere: bool) -> Running:
    """Send a prompt and wait until its answer is in this phase."""
    number = len(replicas.endpoint.exchanges) + 1
    conversation = person.ask("first" if phase == "queued" else phase)
    exchange = replicas.endpoint.await_exchange(number)
    if phase == "queued":
        person.ask("second", conversation)
        exchange = None
    [(generation,)] = person.site.rows(
        "select max(id) from conversations_generation where conversation_id = ?",
        person.site.uuid(conversation),
    )
    with Tab(person, conversation) as tab:
        tab.read_until(lambda tab: (tab.reasoning, tab.answer) == PHASES[phase])
    return Running(phase, elsewhere, conversation, generation, exchange)


def stop(replicas: Replicas, person: Person, running: Running) -> float:
    """Stop a generation; return the seconds until the model's connection closed or, if queued, until the response."""
    owner, other = replicas.first, replicas.second
    if running.exchange:
        owner, other = replicas.owner_and_other(running.exchange)
    somebody = person.at(other if running.elsewhere else owner)
    started = time.monotonic()
    assert somebody.post(f"/generations/{running.generation}/stop/", htmx=True).status_code == 204
    assert running.exchange is None or running.exchange.closed_by_client.wait(WAIT)
    seconds = time.monotonic() - started
    somebody.close()
    return seconds


@pytest.mark.parametrize("redis", [alive, dead, frozen], ids=lambda redis: redis.__name__)
def test_stop_closes_the_connection_to_the_model_and_keeps_the_text(
    replicas: Replicas,
    replicas_baseline: Baseline,
    person: Person,
    redis: Callable[[Redis], contextlib.AbstractContextManager[None]],
):
    replicas.endpoint.respond = until_phase
    runnings = [ask(replicas, person, phase, elsewhere) for phase in PHASES for elsewhere in (False, True)]
    there = person.at(replicas.second)
    with contextlib.ExitStack() as open_tabs:
        tabs = [
            open_tabs.enter_context(Tab(somebody, running.conversation))
            for running in runnings
            for somebody in (person, there)
        ]
        with redis(replicas.redis), ThreadPoolExecutor(len(runnings)) as together:
            seconds = list(together.map(lambda running: stop(replicas, person, running), runnings))
            for tab in tabs:
                tab.read_until(lambda tab: tab.statuses[-1] == "stopped")
        for running, took in zip(runnings, seconds, strict=True):
            where = "at the other replica" if running.elsewhere else "where it runs"
            print(f"Redis {redis.__name__}, {running.phase}, stopped {where}: {1000 * took:.0f} ms")
            assert person.answers(running.conversation)[-1] == ("stopped", "", *PHASES[running.phase])
        replicas.endpoint.open("first")
        for tab in tabs:
            tab.read_until(lambda tab: set(tab.statuses) <= {"stopped", "complete"})
            tab.check()
    requests = [exchange.body["messages"][-1]["content"] for exchange in replicas.endpoint.exchanges]
    assert "second" not in requests
    there.close()
    replicas_baseline.check(*((person, running.conversation) for running in runnings))
