"""PostgreSQL crashed or suspended during a stream: live tabs continue, and text in memory is written afterwards."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from conversations.generation.committer import MAX_UNCOMMITTED_CHARACTERS
from tests.endpoint import Exchange
from tests.faults.baseline import Baseline
from tests.faults.conftest import DEAD_SECONDS, Replicas
from tests.faults.endless_model import EndlessModel
from tests.faults.stored import texts
from tests.ports import unused_port
from tests.screen import Tab
from tests.services import MIGRATED, PostgreSQL
from tests.site import Person, Site

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]

AWAY_SECONDS = DEAD_SECONDS + 2  # longer than a worker's lease
FLOOD = 1_800_000  # characters of an answer that is almost as long as allowed
UNFINISHED = "select status, attempt, worker_id from conversations_generation where finished_at is null"


@pytest.fixture
def another_postgresql(postgresql_files: Path) -> Iterator[PostgreSQL]:
    server = PostgreSQL(unused_port(), postgresql_files)
    yield server
    server.stop()


@dataclass
class Outage:
    """A site with a running stream, and how to stop and restart its PostgreSQL."""

    prompt: str
    person: Person
    tabs: list[Tab]
    stop: Callable[[], None]
    restore: Callable[[], None]

    def read_until_shown(self, word: str) -> None:
        for tab in self.tabs:
            tab.read_until(lambda tab: word in tab.reasoning + tab.answer)


def test_text_is_written_after_an_outage_of_postgresql_and_no_stream_is_orphaned(
    replicas: Replicas,
    replicas_model: EndlessModel,
    replicas_baseline: Baseline,
    another_postgresql: PostgreSQL,
    make_site: Callable[..., Site],
    person: Person,
    join,
):
    url = another_postgresql.create_database(MIGRATED)
    lone = make_site(url, OPENAI_BASE_URL=replicas.endpoint.base_url, TEST_DEAD_SECONDS=DEAD_SECONDS)
    lone_baseline = Baseline(replicas.endpoint, lone)
    lone_person = join(lone)
    with ExitStack() as open_tabs:
        crash, freeze = outages = [
            Outage("crash", person, [], replicas.postgresql.crash, replicas.postgresql.start),
            Outage("freeze", lone_person, [], another_postgresql.freeze, another_postgresql.thaw),
        ]
        conversations = {outage.prompt: outage.person.ask(outage.prompt) for outage in outages}
        there = person.at(replicas.second)
        for outage, somebody in ((crash, person), (crash, there), (freeze, lone_person)):
            outage.tabs.append(open_tabs.enter_context(Tab(somebody, conversations[outage.prompt])))
            outage.read_until_shown(replicas_model.next_word(outage.prompt))
        before = {outage.prompt: outage.person.site.await_rows(UNFINISHED) for outage in outages}
        away_from = time.monotonic()
        for outage in outages:
            outage.stop()
        assert person.http.get("/readyz").status_code == 503  # the outage has happened
        for outage in outages:
            for tab in outage.tabs:
                tab.read_until(lambda tab: tab.source == "unstored")  # the page shows it
        while time.monotonic() < away_from + AWAY_SECONDS:
            for outage in outages:
                outage.read_until_shown(replicas_model.next_word(outage.prompt))
        for outage in outages:
            outage.restore()
        for outage in outages:
            for tab in outage.tabs:
                tab.read_until(lambda tab: tab.source == "live")
            [(_, attempt, worker)] = outage.person.site.await_rows(UNFINISHED)
            assert [("answering", attempt, worker)] == outage.person.site.rows(UNFINISHED)
            assert (attempt, worker) == before[outage.prompt][0][1:]
        replicas_model.enough = True
        for outage in outages:
            sent = replicas_model.sent(outage.prompt)
            for tab in outage.tabs:
                tab.read_until(lambda tab: tab.statuses == ["complete"])
                tab.check()
            assert texts(outage.person.site)[outage.prompt] == ("complete", sent.text("reasoning"), sent.text("answer"))
            assert len(replicas_model.exchanges[outage.prompt]) == 1
    there.close()
    replicas_baseline.check((person, conversations["crash"]), expected_logs=["/readyz"])
    lone_baseline.check((lone_person, conversations["freeze"]))


def test_text_beyond_the_memory_limit_interrupts_all_answers_with_a_notice(
    replicas: Replicas, replicas_baseline: Baseline, person: Person
):
    async def flood(exchange: Exchange) -> None:
        await exchange.reason("Hm. ")
        await exchange.gate("away")
        for _ in range(FLOOD // 200_000):
            await exchange.reason("x" * 200_000)
        await exchange.gate("never")
        await exchange.finish()

    replicas.endpoint.respond = flood
    # Of so many answers, one replica runs enough to exceed the limit.
    questions = [f"Why {number}?" for number in range(2 * (MAX_UNCOMMITTED_CHARACTERS // FLOOD) + 1)]
    conversations = {question: person.ask(question) for question in questions}
    replicas.endpoint.await_exchange(len(questions))
    asked: dict[Site, dict[str, Exchange]] = {replicas.first: {}, replicas.second: {}}
    for exchange in replicas.endpoint.exchanges:
        owner, _ = replicas.owner_and_other(exchange)
        asked[owner][exchange.body["messages"][-1]["content"]] = exchange
    owner, flooded = max(asked.items(), key=lambda item: len(item[1]))
    here = person.at(owner)
    with Tab(here, conversations[next(iter(flooded))]) as tab:
        tab.read_until(lambda tab: tab.reasoning == "Hm. ")
        status = tab.newest.attributes["id"].replace("message", "status")
        replicas.postgresql.crash()
        try:
            replicas.endpoint.open("away")
            tab.read_until(lambda tab: "The database was unavailable at" in tab.text(status))
            for exchange in flooded.values():
                assert exchange.closed_by_client.wait(60)
            assert tab.statuses == ["thinking"]  # the end cannot be written yet
        finally:
            replicas.postgresql.start()
        tab.read_until(lambda tab: tab.statuses == ["interrupted"])
        tab.check()
    replicas.endpoint.open("never")
    characters = 0
    for question, conversation in conversations.items():
        [(_, error, reasoning, _)] = person.await_end(conversation)
        if question in flooded:
            assert f"{len(reasoning):,} characters were saved" in error
            characters += len(reasoning)
    assert characters > MAX_UNCOMMITTED_CHARACTERS
    here.close()
    replicas_baseline.check(*((person, conversation) for conversation in conversations.values()))
