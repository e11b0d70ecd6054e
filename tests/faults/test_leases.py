"""Processes killed or suspended for longer than a lease: another process recovers their generations.

This takes longer than a lease, so it happens once, to four processes with PostgreSQL, and the tests check the results:
`killed` runs many streams and is killed. `frozen` is suspended in a transaction until `witness` has recovered the
orphans of both and answered another question in the first of its conversations. `alone` has its own database, where no
other process can recover anything; it is killed and started again.
"""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

import psycopg
import pytest

from tests.conftest import connection
from tests.endpoint import Endpoint
from tests.faults.baseline import Baseline
from tests.faults.endless_model import EndlessModel, ask_each
from tests.faults.stored import Text, assert_stored, texts
from tests.screen import Tab
from tests.services import MIGRATED, PostgreSQL
from tests.site import Person, Site

pytestmark = pytest.mark.postgresql

DEAD_SECONDS = 5
STREAMS = 30
KILLED = [f"k{number}" for number in range(STREAMS)]
FROZEN = ["f0", "f1", "f2"]
ALONE = ["a0", "a1"]


@dataclass
class Scenario:
    """What happened, and when."""

    model: EndlessModel
    endpoint: Endpoint
    witness: Site
    frozen: Site
    alone: Site
    person: Person
    alone_person: Person
    conversations: dict[str, str]
    tab: Tab
    baseline: Baseline
    baseline_alone: Baseline
    killed_at: float
    at_kill: dict[str, Text]
    alone_at_kill: dict[str, Text]
    before_resume: dict[str, Text]
    recovered_after: float  # seconds


def suspend_in_transaction(site: Site, conversation: str) -> None:
    """Suspend a process while it writes the text of this conversation: the worst time, since it keeps its locks."""
    with psycopg.connect(site.database_url) as database:
        generation = "select 1 from conversations_generation where conversation_id = %s for update"
        database.execute(generation, [site.uuid(conversation)])
        waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        site.await_rows(waiting)
        site.process.send_signal(signal.SIGSTOP)
    site.await_rows(
        "select 1 from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"
    )


@pytest.fixture(scope="module")
def scenario(postgresql: PostgreSQL) -> Iterator[Scenario]:
    endpoint = Endpoint()
    endpoint.respond = model = EndlessModel(every=0.4, reasoning_words=3)
    databases = [postgresql.create_database(MIGRATED) for _ in range(2)]
    variables = connection(endpoint) | {
        "USER_CONCURRENCY": 100,
        "TEST_DEAD_SECONDS": DEAD_SECONDS,
    }
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        stack.callback(endpoint.close)

        def start(*urls: str) -> list[Site]:
            sites = list(pool.map(lambda url: Site(url, **variables), urls))
            for site in sites:
                stack.callback(lambda site=site: site.process.poll() is None and site.kill())
            return sites

        conversations: dict[str, str] = {}

        def ask(site: Site, prompts: list[str]) -> Person:
            person = stack.enter_context(closing(Person(site, f"asker of {prompts[0]}".replace(" ", "-"))))
            conversations.update(zip(prompts, ask_each(person, prompts), strict=True))
            model.await_words(1, *prompts)
            return person

        # Each process starts when the earlier ones run all their streams, so it is known which process runs what.
        killed, alone = start(*databases)
        for half in (KILLED[::2], KILLED[1::2]):
            ask(killed, half)
        alone_person = ask(alone, ALONE)
        [frozen] = start(databases[0])
        person = ask(frozen, FROZEN)
        [witness] = start(databases[0])
        baseline, baseline_alone = Baseline(endpoint, frozen, witness), Baseline(endpoint, alone)
        model.await_words(9, *conversations)
        tab = stack.enter_context(Tab(person, conversations["f0"]))
        tab.read_until(lambda tab: "f0:5 " in tab.answer)

        suspend_in_transaction(frozen, conversations["f1"])
        killed_at = time.monotonic()
        for site in (killed, alone):
            site.kill()
        at_kill, alone_at_kill = texts(witness), texts(alone)
        alone.start()
        witness.await_rows("select 1 where not exists (select 1 from conversations_generation where slot is not null)")
        recovered_after = time.monotonic() - killed_at
        before_resume = texts(witness)
        with closing(person.at(witness)) as person_there:
            person_there.ask("followed", conversations["f0"])
        model.await_words(1, "followed")
        frozen.process.send_signal(signal.SIGCONT)
        yield Scenario(
            model, endpoint, witness, frozen, alone, person, alone_person, conversations, tab, baseline,
            baseline_alone, killed_at, at_kill, alone_at_kill, before_resume, recovered_after,
        )  # fmt: skip


def interrupted(before: dict[str, Text], prompts: list[str]) -> dict[str, Text]:
    return {prompt: before[prompt]._replace(status="interrupted") for prompt in prompts}


def test_text_sent_before_a_kill_is_stored_and_another_process_recovers_the_orphans(scenario: Scenario):
    # Not before the lease had expired: the last heartbeat, one of each second, was before the kill.
    assert scenario.recovered_after >= DEAD_SECONDS - 1
    at_kill = {prompt: scenario.at_kill[prompt] for prompt in KILLED}
    assert {text.status for text in at_kill.values()} == {"answering"}
    assert_stored(at_kill, scenario.model, scenario.killed_at)
    now = texts(scenario.witness)
    assert {prompt: now[prompt] for prompt in KILLED} == interrupted(at_kill, KILLED)
    assert {len(scenario.model.exchanges[prompt]) for prompt in KILLED} == {1}


def test_a_worker_that_continues_resumes_its_generations_and_is_fenced_where_others_followed(scenario: Scenario):
    assert {scenario.before_resume[prompt].status for prompt in FROZEN} == {"interrupted"}
    [exchange] = scenario.model.exchanges["f0"]
    assert exchange.closed_by_client.wait(60)  # it has noticed that it is fenced
    scenario.frozen.await_line("this worker was declared dead")
    scenario.tab.read_until(lambda tab: tab.statuses[0] == "interrupted")
    running = "select count(*) from conversations_generation where status = 'answering' having count(*) = 3"
    scenario.witness.await_rows(running)  # two were resumed, one followed
    scenario.model.enough = True
    for prompt in FROZEN[1:]:
        [(status, *text)] = scenario.person.await_end(scenario.conversations[prompt])
        sent = scenario.model.sent(prompt)
        assert (status, text) == ("complete", ["", sent.text("reasoning"), sent.text("answer")])
        assert len(scenario.model.exchanges[prompt]) == 1
    scenario.tab.read_until(lambda tab: tab.statuses == ["interrupted", "complete"])
    scenario.tab.check()
    scenario.tab.close()
    assert texts(scenario.witness)["f0"] == scenario.before_resume["f0"]
    # It continues as a new worker.
    scenario.person.ask("afterwards", scenario.conversations["f0"])
    assert scenario.person.await_end(scenario.conversations["f0"])[-1][0] == "complete"
    scenario.baseline.check(*((scenario.person, scenario.conversations[prompt]) for prompt in FROZEN))


def test_a_restarted_process_recovers_its_own_orphans(scenario: Scenario):
    scenario.alone.await_rows("select 1 where not exists (select 1 from conversations_chunk)")
    assert_stored(scenario.alone_at_kill, scenario.model, scenario.killed_at)
    assert texts(scenario.alone) == interrupted(scenario.alone_at_kill, ALONE)
    scenario.baseline_alone.check(*((scenario.alone_person, scenario.conversations[prompt]) for prompt in ALONE))
