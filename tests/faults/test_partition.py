"""A replica that is cut off from PostgreSQL for longer than a lease, while another one works."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.conftest import connection
from tests.endpoint import Endpoint
from tests.faults.baseline import Baseline
from tests.faults.endless_model import EndlessModel
from tests.faults.stored import texts
from tests.proxy import Proxy
from tests.screen import Tab
from tests.services import PostgreSQL, Redis
from tests.site import Person, Site, files_of

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]

DEAD_SECONDS = 3


@pytest.fixture
def proxy(postgresql: PostgreSQL) -> Iterator[Proxy]:
    with closing(Proxy(postgresql.url("postgres"))) as proxy:
        yield proxy


def test_a_replica_that_was_cut_off_writes_its_text_unless_the_conversation_went_on(
    postgresql: PostgreSQL, postgresql_database: str, redis_server: Redis, proxy: Proxy, endpoint: Endpoint
):
    endpoint.respond = model = EndlessModel(every=0.1, reasoning_words=3)
    url = postgresql_database
    variables = connection(endpoint) | {
        "REDIS_URL": redis_server.url,
        "TEST_DEAD_SECONDS": DEAD_SECONDS,
        "STORAGE_URL": f"file://{files_of(url)}",  # one for both, although their addresses of the database differ
    }
    with ExitStack() as stack:
        far = Site(url.replace(f":{postgresql.port}/", f":{proxy.port}/"), **variables)
        stack.callback(far.kill)
        person = stack.enter_context(closing(Person(far, "ada")))
        resumed, followed = (person.ask(prompt) for prompt in ("resumed", "followed"))
        model.await_words(5, "resumed", "followed")  # it runs both, before there is another
        near = Site(url, **variables)
        stack.callback(near.kill)
        person_near = stack.enter_context(closing(person.at(near)))
        baseline = Baseline(endpoint, far, near)
        tabs = [stack.enter_context(Tab(person, conversation)) for conversation in (resumed, followed)]
        for tab in tabs:
            tab.read_until(lambda tab: ":4 " in tab.answer)

        proxy.cut()
        near.await_rows("select 1 where not exists (select 1 from conversations_generation where slot is not null)")
        for conversation in (resumed, followed):
            [(status, error, *_)] = person_near.answers(conversation)
            assert status == "interrupted"
            assert "The server that was answering did not respond at " in error
        tab_near = stack.enter_context(Tab(person_near, resumed))
        assert tab_near.statuses == ["interrupted"]
        for tab in tabs:
            tab.read_until(lambda tab: tab.source == "unstored")  # and people still read
        person_near.ask("And?", followed)
        lost = model.next_word("followed")
        tabs[1].read_until(lambda tab: lost in tab.answer)

        proxy.heal()
        far.await_line("registered again")
        tabs[0].read_until(lambda tab: tab.source == "live")
        tabs[1].read_until(lambda tab: tab.statuses[0] == "interrupted")
        [exchange] = model.exchanges["followed"]
        assert exchange.closed_by_client.wait(60)
        model.enough = True
        tabs[0].read_until(lambda tab: tab.statuses == ["complete"])
        tabs[1].read_until(lambda tab: tab.statuses == ["interrupted", "complete"])
        tab_near.read_until(lambda tab: tab.statuses == ["complete"])
        for tab in (*tabs, tab_near):
            tab.check()
            tab.close()
        sent, stored = model.sent("resumed"), texts(near)
        assert stored["resumed"] == ("complete", sent.text("reasoning"), sent.text("answer"))
        assert len(model.exchanges["resumed"]) == 1  # it was not asked again
        assert lost not in stored["followed"].answer
        [(_, error, *_), _] = person_near.answers(followed)
        assert "more arrived and were lost" in error
        baseline.check((person, resumed), (person_near, followed))
