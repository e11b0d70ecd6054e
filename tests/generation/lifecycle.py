"""Random lives of generations: `python -m tests.generation.lifecycle <examples> <steps> [seed]`.

Replicas are real workers with real runs; only the endpoint is replaced, by text that the rules feed. Hypothesis chooses
what happens: questions, claims, text, commits whose response is lost, stops, crashes, partitions, takeovers and drains.
Without a seed, the same lives are tried each time. An error is printed with the rules that lead to it.
"""

import asyncio
import contextlib
import itertools
import sys
import uuid
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import django

django.setup()

from django.conf import settings as django_settings  # noqa: E402
from django.db import connections  # noqa: E402
from hypothesis import HealthCheck, Phase, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.stateful import (  # noqa: E402
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from conversations import actions  # noqa: E402
from conversations.generation import commit, committer, runner, worker  # noqa: E402
from conversations.generation.recovery import COUNTS, MAX_ATTEMPTS  # noqa: E402
from conversations.inference.chunks import Usage  # noqa: E402
from conversations.inference.deltas import Delta  # noqa: E402
from conversations.inference.stream import Outcome  # noqa: E402
from conversations.models import Chunk, Generation, Kind, Status, User, Worker  # noqa: E402
from conversations.models.generation import LIVE  # noqa: E402
from conversations.models.usage import balance  # noqa: E402
from tests.generation.replicas import FedRun, Replica  # noqa: E402
from tests.models import NoEndpoint, registry, without_endpoint  # noqa: E402

ANY = st.integers(0, 11)  # the number of a replica, conversation or run, modulo how many there are
# While a replica is cut off.
MEANWHILE = ["takeover", "claim", "work", "crash", "question", "continuation", "stop", "end"]
loop = asyncio.new_event_loop()
django_settings.MODELS = registry(NoEndpoint().model)


class Row(NamedTuple):
    """What the database contains of a generation."""

    status: str
    attempt: int
    worker: int | None
    words: tuple[str, ...]  # of its message, with chunks
    chunks: str
    message: int
    conversation: uuid.UUID


def followers(rows: dict[int, Row], pk: int) -> list[int]:
    """Return the later generations of the conversation that have seen this one, or change its message."""
    row = rows[pk]
    return [
        later
        for later, other in rows.items()
        if later > pk and other.conversation == row.conversation and (other.attempt or other.message == row.message)
    ]


class Lifecycle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.user = User.objects.create(username=uuid.uuid4().hex)
        self.replicas = [self.start() for _ in range(2)]
        self.dead: list[int] = []  # workers that crashed
        self.rows: dict[int, Row] = {}
        self.numbers = itertools.count()

    def start(self) -> Replica:
        replica = Replica(without_endpoint())
        loop.run_until_complete(replica.committer.register())
        return replica

    # What people do

    @initialize()
    def begin(self):
        self.ask()
        self.work(0, True)
        self.ask()

    @rule()
    def ask(self):
        with contextlib.suppress(actions.Refused):  # ten wait already
            actions.send_message(user=self.user, content="Why?")

    @rule(which=ANY)
    @precondition(lambda self: self.rows)
    def follow_up(self, which: int):
        generation = self.generation(which)
        with contextlib.suppress(actions.Refused):
            actions.send_message(user=self.user, content="And?", conversation=generation.conversation)

    @rule(which=ANY, change=st.sampled_from([actions.continue_answer, actions.regenerate]))
    @precondition(lambda self: self.rows)
    def change_answer(self, which: int, change: Any):
        with contextlib.suppress(actions.Refused):
            change(user=self.user, message=self.generation(which).message)

    @rule(which=ANY, heard=st.booleans())
    @precondition(lambda self: self.rows)
    def stop(self, which: int, heard: bool):
        generation = self.generation(which)
        actions.stop(generation=generation)
        for replica in self.replicas:
            if heard and (run := replica.runs.get(generation.pk)):
                run.stop()
            self.settle(replica)

    # What replicas do

    @rule(which=ANY, answer=st.booleans())
    def work(self, which: int, answer: bool):
        self.claim(which)
        self.feed(which, answer, relabels=False)
        self.commit(which)
        self.feed(which, answer, relabels=False)

    @rule(which=ANY)
    def claim(self, which: int):
        if not (replica := self.replica(which)).is_cut_off:
            loop.run_until_complete(replica.claim())

    @rule(which=ANY)
    def claim_and_lose_the_response(self, which: int):
        if not (replica := self.replica(which)).is_cut_off:
            for pk in worker._claimable(1):
                commit.claim(replica.committer.worker_id, pk)

    @rule(which=ANY)
    def release_orphaned_claims(self, which: int):
        if not (replica := self.replica(which)).is_cut_off:
            for _ in range(2):
                loop.run_until_complete(replica._release_orphaned_claims())

    @rule(which=ANY, answer=st.booleans(), relabels=st.booleans())
    def feed(self, which: int, answer: bool, relabels: bool):
        for run in self.streaming(which):
            word = f"w{next(self.numbers)} "
            if relabels:
                run.feed([Delta(Kind.REASONING, "", relabels=True)])
            run.feed([Delta(Kind.ANSWER if answer else Kind.REASONING, word)])

    @rule(which=ANY)
    def commit(self, which: int):
        replica = self.replica(which)
        if not replica.is_cut_off:
            loop.run_until_complete(replica.commit())

    @rule(which=ANY, written=st.booleans())
    def commit_and_lose_the_response(self, which: int, written: bool):
        replica = self.replica(which)
        taken = [(run, run.take_progress()) for run in self.streaming(which) if not run.is_lost]
        if written and not replica.is_cut_off:
            commit.commit(replica.committer.worker_id, [progress for _, progress in taken])
        for run, progress in taken:
            run.restore_progress(progress)

    @rule(which=ANY, reason=st.sampled_from(["stop", "length"]), response_lost=st.booleans())
    def finish(self, which: int, reason: str, response_lost: bool):
        for run in self.streaming(which):
            run.response_lost = response_lost
            run.outcome.set_result(Outcome(reason, Usage(), "", None))
        self.settle(self.replica(which))

    # What happens to them

    @rule(which=ANY, times=st.sampled_from([1, 1, 1, MAX_ATTEMPTS]))
    def crash_after_claiming(self, which: int, times: int):
        for _ in range(times):
            self.crash(which)
            self.take_over(which)
            self.claim(which)

    def crash(self, which: int):
        replica = self.replica(which)
        loop.run_until_complete(replica.crash())
        self.dead.append(replica.committer.worker_id)
        self.replicas[self.replicas.index(replica)] = self.start()

    @rule(which=ANY, meanwhile=st.lists(st.sampled_from(MEANWHILE), max_size=4), heals=st.booleans())
    def partition(self, which: int, meanwhile: list[str], heals: bool):
        if not self.streaming(which):
            self.ask()
            self.work(which, answer=True)
        self.replica(which).is_cut_off = True
        self.feed(which, answer=True, relabels=False)
        self.rows = self.read()
        lost = next((list(self.rows).index(run.claim.generation_id) for run in self.streaming(which)), 0)
        for happening in ("takeover", *meanwhile):
            match happening:
                case "takeover":
                    self.take_over(which + 1)
                case "claim":
                    self.claim(which + 1)
                case "work":
                    self.work(which + 1, answer=True)
                case "crash":
                    self.crash(which + 1)
                case "question":
                    self.follow_up(lost)
                case "continuation":
                    self.change_answer(lost, actions.continue_answer)
                case "stop":
                    self.stop(lost, heard=False)
                case "end":
                    self.finish(which, "stop", response_lost=False)
        if heals:
            self.heal(which)

    @rule(which=ANY)
    def heal(self, which: int):
        replica = self.replica(which)
        replica.is_cut_off = False
        before = self.read()
        unfollowed = [
            run
            for pk, run in replica.runs.items()
            if before[pk].attempt == run.claim.attempt and not followers(before, pk)
        ]
        text = {run.claim.generation_id: f"{run.live.reasoning}{run.live.answer}" for run in unfollowed}
        for _ in range(2):  # the second resumes runs whose result was refused after the first
            loop.run_until_complete(replica.commit())
        after = self.read()
        for pk, words in text.items():
            assert set(words.split()) <= set(after[pk].words), f"text of {pk} was not written: {words} {after[pk]}"

    @rule(which=ANY)
    def take_over(self, which: int):
        replica = self.replica(which)
        if not replica.is_cut_off:
            cut_off = [other.committer.worker_id for other in self.replicas if other.is_cut_off]
            loop.run_until_complete(replica._recover_orphans([*self.dead, *cut_off]))

    @rule(which=ANY)
    def drain(self, which: int):
        replica = self.replica(which)
        if not replica.is_cut_off:
            loop.run_until_complete(replica.stop())
            self.replicas[self.replicas.index(replica)] = self.start()

    # What must be true

    @invariant()
    def nothing_is_lost_and_nothing_ends_twice(self):
        now = self.read()
        for pk, before in self.rows.items():
            row = now[pk]
            assert row.attempt <= MAX_ATTEMPTS
            assert not Counter(before.words) - Counter(row.words), f"committed text of {pk} was lost: {before} {row}"
            assert len(set(row.words)) == len(row.words), f"text of {pk} was stored twice: {row}"
            if before.status not in LIVE and row.status != before.status:
                # Only what was recovered as an orphan can run again, in the same attempt.
                assert before.status in (Status.INTERRUPTED, Status.STOPPED), f"{pk} ended twice: {before} {row}"
                assert (before.worker, row.attempt) == (None, before.attempt), f"{pk} ended twice: {before} {row}"
                assert not followers(self.rows, pk), f"{pk} ran again although the conversation went on: {before} {row}"
            if row.attempt > before.attempt:
                assert not before.chunks, f"{pk} was asked again: {before} {row}"
        self.rows = now

    def teardown(self):
        """Let all replicas run undisturbed: after as many rounds as there are attempts, everything has ended."""
        for replica in self.replicas:
            replica.is_cut_off = False
        for _ in range(MAX_ATTEMPTS * (Generation.objects.filter(owner=self.user).count() + 1)):
            for replica in self.replicas:
                loop.run_until_complete(replica.commit())
                loop.run_until_complete(replica._recover_orphans(self.dead))
                loop.run_until_complete(replica._release_orphaned_claims())
                loop.run_until_complete(replica.claim())
                for run in list(replica.runs.values()):
                    if not run.outcome.done():
                        run.outcome.set_result(Outcome("stop", Usage(), "", None))
                self.settle(replica)
            self.nothing_is_lost_and_nothing_ends_twice()
            if not Generation.objects.live().filter(owner=self.user).exists():
                break
        assert not Generation.objects.live().filter(owner=self.user).exists(), "something has no end"
        assert not Chunk.objects.filter(generation__owner=self.user).exists()
        counts = itertools.chain(*Generation.objects.filter(owner=self.user).values_list(*COUNTS))
        assert sum(filter(None, counts)) == balance(self.user).used, "tokens were counted twice, or not at all"
        for replica in self.replicas:
            loop.run_until_complete(replica.stop())
        assert not Worker.objects.exists()

    def read(self) -> dict[int, Row]:
        chunks = defaultdict(str)
        mine = Chunk.objects.filter(generation__owner=self.user).order_by("generation", "sequence")
        for generation, message, text in mine.values_list("generation", "generation__message", "text"):
            chunks["generation", generation] += text
            chunks["message", message] += text
        rows = {}
        for generation in Generation.objects.filter(owner=self.user).order_by("pk").select_related("message"):
            message = generation.message
            words = tuple((message.reasoning + message.content + chunks["message", message.pk]).split())
            own = chunks["generation", generation.pk]
            at = generation.status, generation.attempt, generation.worker_id
            rows[generation.pk] = Row(*at, words, own, message.pk, generation.conversation_id)
        return rows

    def generation(self, which: int) -> Generation:
        return Generation.objects.get(pk=list(self.rows)[which % len(self.rows)])

    def replica(self, which: int) -> Replica:
        return self.replicas[which % len(self.replicas)]

    def streaming(self, which: int) -> list[FedRun]:
        """Return the runs of this replica that still stream, of an odd `which` only the first."""
        return [run for run in self.replica(which).runs.values() if run.streams][: 1 if which % 2 else None]

    def settle(self, replica: Replica) -> None:
        loop.run_until_complete(replica.settle())


def main(examples: int, steps: int, chosen: int | None = None) -> None:
    worker.Run = FedRun
    runner.RETRY_SECONDS = committer.COMMIT_SECONDS = 0.01
    loop.set_default_executor(ThreadPoolExecutor(2))
    options = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=chosen is None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Lifecycle if chosen is None else seed(chosen)(Lifecycle), settings=options)
    print(Counter(Generation.objects.values_list("status", flat=True)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    connections.close_all()
    with contextlib.suppress(AttributeError):
        connections["default"].close_pool()
