"""Redis suspended, resumed, killed and started again during a stream, with a tab on each of two replicas."""

from collections.abc import Callable

import pytest

from tests.faults.baseline import Baseline
from tests.faults.conftest import Replicas
from tests.faults.endless_model import EndlessModel
from tests.screen import Tab
from tests.site import Person

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]


def test_without_redis_the_running_replica_stays_live_and_the_other_shows_committed_text(
    replicas: Replicas, replicas_model: EndlessModel, replicas_baseline: Baseline, person: Person
):
    conversation = person.ask("p")
    replicas_model.await_words(1, "p")
    owner, other = replicas.owner_and_other(replicas_model.exchanges["p"][-1])
    here, there = person.at(owner), person.at(other)
    with Tab(here, conversation) as tab, Tab(there, conversation) as viewer:

        def both_are_fed(viewers_source: str) -> None:
            """Read until both tabs show a word that is sent from now on, from the expected source."""
            word = replicas_model.next_word("p")
            tab.read_until(lambda screen: word in screen.reasoning + screen.answer)
            assert tab.source == "live"
            viewer.read_until(
                lambda screen: word in screen.reasoning + screen.answer and screen.source == viewers_source
            )

        both_are_fed("live")  # over Redis
        faults: list[tuple[Callable[[], None], Callable[[], None]]] = [
            (replicas.redis.freeze, replicas.redis.thaw),
            (replicas.redis.kill, replicas.redis.start),
        ]
        for break_redis, repair_redis in faults:
            break_redis()
            try:
                both_are_fed("storage")
                for somebody in (here, there):
                    with Tab(somebody, conversation) as late:
                        word = replicas_model.next_word("p")
                        late.read_until(lambda screen, word=word: word in screen.reasoning + screen.answer)
            finally:
                repair_redis()
            both_are_fed("live")
        replicas_model.enough = True
        for watching in (tab, viewer):
            watching.read_until(lambda screen: screen.statuses == ["complete"])
            watching.check()
    for somebody in (here, there):
        somebody.close()
    replicas_baseline.check((person, conversation))
