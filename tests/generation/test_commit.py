import itertools

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations import actions
from conversations.generation.commit import (
    Claim,
    Progress,
    Result,
    Stop,
    claim,
    commit,
    fail,
    finish,
)
from conversations.generation.recovery import stop_queued_of_deactivated
from conversations.inference.chunks import Usage
from conversations.limits import QUEUED_PROMPTS
from conversations.models import Chunk, Generation, Kind, Message, Status, User, Worker
from conversations.models.generation import POSITIONS
from conversations.rendering import outcomes
from tests.factories import claimed, person, queued
from tests.site import run_module

pytestmark = pytest.mark.django_db


def progress(claim: Claim, *chunks: tuple[Kind, str], sequence: int = 0, **changes) -> Progress:
    return Progress(claim.generation_id, claim.attempt, sequence, chunks, **changes)


def result(status: Status = Status.COMPLETE, reasoning: str = "thought", content: str = "answer") -> Result:
    return Result(status, reasoning, content)


def test_a_claim_starts_the_generation_and_takes_a_slot():
    worker, claim = claimed(person())
    generation = Generation.objects.get()
    assert (generation.status, generation.worker_id, generation.slot) == (Status.THINKING, worker.pk, 0)
    assert (generation.attempt, claim.attempt) == (1, 1)
    assert generation.started_at is not None


def test_a_generation_is_claimed_once():
    user = person()
    worker, first = claimed(user)
    assert claim(worker.pk, first.generation_id) is None


def test_the_second_prompt_of_a_conversation_waits_for_the_first():
    user = person()
    worker, first = claimed(user)
    conversation = Generation.objects.get().conversation
    second = queued(user, "And?", conversation)
    assert claim(worker.pk, second.pk) is None
    finish(worker.pk, first, result(), {})
    assert claim(worker.pk, second.pk) is not None


def test_a_conversations_prompts_are_claimed_in_order():
    user = person()
    first = queued(user)
    second = queued(user, "And?", first.conversation)
    worker = Worker.objects.create()
    assert claim(worker.pk, second.pk) is None
    assert claim(worker.pk, first.pk) is not None


def test_a_user_has_as_many_running_generations_as_slots(settings):
    settings.USER_CONCURRENCY = 2
    user, worker = person(), Worker.objects.create()
    generations = [queued(user) for _ in range(3)]
    claims = [claim(worker.pk, generation.pk) for generation in generations]
    assert [made is not None for made in claims] == [True, True, False]
    assert claim(worker.pk, queued(person("bob")).pk) is not None


def test_a_commit_appends_chunks_and_returns_stop_requests():
    worker, claim = claimed(person())
    stops = commit(worker.pk, [progress(claim, (Kind.REASONING, "Hm. "))])
    assert stops == {claim.generation_id: None}
    Generation.objects.update(stop_requested=True)
    stops = commit(worker.pk, [progress(claim, (Kind.REASONING, "So."), (Kind.ANSWER, "Yes"), sequence=1)])
    assert stops == {claim.generation_id: Stop.REQUESTED}
    assert Message.objects.get(pk=claim.message_id).current_text() == ("Hm. So.", "Yes")


def test_the_answers_of_a_deactivated_user_are_stopped_and_nothing_of_theirs_starts():
    user, other = person(), person("bob")
    worker, running = claimed(user)
    _, kept = claimed(other, worker)
    waiting, theirs = queued(user), queued(other)
    User.objects.filter(pk=user.pk).update(is_active=False)
    stops = commit(worker.pk, [progress(running, (Kind.ANSWER, "a")), progress(kept, (Kind.ANSWER, "b"))])
    assert stops == {running.generation_id: Stop.DEACTIVATED, kept.generation_id: None}
    assert claim(worker.pk, waiting.pk) is None
    stop_queued_of_deactivated()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.finished_at is None) == (Status.STOPPED, False)
    assert outcomes.notice(waiting, waiting.message) == "Stopped because the account was deactivated."
    assert claim(worker.pk, theirs.pk) is not None


def test_a_commit_increments_the_heartbeat():
    worker, _ = claimed(person())
    commit(worker.pk, [])
    commit(worker.pk, [])
    worker.refresh_from_db()
    assert worker.beat == 2


def test_a_commit_of_a_worker_that_was_declared_dead_writes_nothing():
    worker, claim = claimed(person())
    worker.delete()
    assert commit(worker.pk, [progress(claim, (Kind.ANSWER, "late"))]) is None
    assert not Chunk.objects.exists()


def test_a_commit_skips_generations_that_another_worker_owns():
    user = person()
    worker, lost = claimed(user)
    _, kept = claimed(user, worker)
    Generation.objects.filter(pk=lost.generation_id).update(worker=Worker.objects.create(), attempt=2)
    stops = commit(worker.pk, [progress(lost, (Kind.ANSWER, "a")), progress(kept, (Kind.ANSWER, "b"))])
    assert stops == {kept.generation_id: None}
    assert list(Chunk.objects.values_list("generation", "text")) == [(kept.generation_id, "b")]


def test_a_commit_of_an_earlier_attempt_writes_nothing():
    worker, claim = claimed(person())
    Generation.objects.update(attempt=2)
    assert commit(worker.pk, [progress(claim, (Kind.ANSWER, "a"))]) == {}


def test_a_commit_that_relabels_turns_answer_chunks_into_reasoning():
    worker, claim = claimed(person())
    commit(worker.pk, [progress(claim, (Kind.ANSWER, "Thinking aloud."))])
    commit(worker.pk, [progress(claim, (Kind.ANSWER, "Yes."), sequence=1, relabels=True)])
    assert Message.objects.get(pk=claim.message_id).current_text() == ("Thinking aloud.", "Yes.")


def test_finishing_moves_the_text_to_the_message_and_frees_the_slot():
    worker, claim = claimed(person())
    commit(worker.pk, [progress(claim, (Kind.REASONING, "thought"))])
    stored = Result(Status.COMPLETE, "thought", "answer", finish_reason="stop", usage=Usage(12, 20, 10))
    assert finish(worker.pk, claim, stored, {"model": "m"})
    generation, message = Generation.objects.get(), Message.objects.get(pk=claim.message_id)
    assert (message.reasoning, message.content) == ("thought", "answer")
    assert (generation.status, generation.slot, generation.model) == (Status.COMPLETE, None, "m")
    assert (generation.prompt_tokens, generation.reasoning_tokens, generation.answer_tokens) == (12, 20, 10)
    assert generation.finished_at is not None
    assert not Chunk.objects.exists()


def test_only_the_first_result_is_stored():
    worker, claim = claimed(person())
    assert finish(worker.pk, claim, result(), {})
    assert not finish(worker.pk, claim, result(Status.FAILED, "", ""), {})
    assert Generation.objects.get().status == Status.COMPLETE


def test_the_first_prompt_of_a_user_is_before_the_second_of_another():
    ada, bob = person("ada"), person("bob")
    many = [queued(ada).pk for _ in range(3)]
    one = queued(bob).pk
    in_order = [many[0], one, many[1], many[2]]
    assert list(Generation.objects.claimable().values_list("pk", flat=True)) == in_order
    assert Generation.objects.queue_positions() == {pk: position for position, pk in enumerate(in_order, 1)}


def test_running_generations_count_towards_a_users_place_in_the_queue(settings):
    settings.USER_CONCURRENCY = 2
    ada, bob = person("ada"), person("bob")
    claimed(ada)
    many = [queued(ada).pk for _ in range(3)]
    fewer = [queued(bob).pk for _ in range(2)]
    assert list(Generation.objects.in_queue_order().values_list("pk", flat=True)) == [
        fewer[0],
        many[0],
        fewer[1],
        *many[1:],
    ]
    assert list(Generation.objects.claimable().values_list("pk", flat=True)) == [fewer[0], many[0], fewer[1]]


def test_the_queued_prompts_of_a_user_without_a_free_slot_do_not_delay_others(settings):
    settings.USER_CONCURRENCY = 1
    ada, bob = person("ada"), person("bob")
    claimed(ada)
    for _ in range(QUEUED_PROMPTS):
        queued(ada)
    one = queued(bob).pk
    assert Generation.objects.claimable().first().pk == one


def test_the_cost_of_positions_does_not_grow_with_the_queue():
    def steps() -> int:
        """Return how many steps SQLite's virtual machine takes for the positions, in tens."""
        number = itertools.count()
        connection.connection.set_progress_handler(lambda: next(number) and None, 10)
        try:
            assert Generation.objects.queue_positions() == {}
        finally:
            connection.connection.set_progress_handler(None, 0)
        return next(number)

    generation = queued(person())
    add_queued(generation, POSITIONS - 2)
    assert queued(person("bob")).pk in Generation.objects.queue_positions()
    add_queued(generation, 200)
    few = steps()
    add_queued(generation, 10_000)
    with CaptureQueriesContext(connection) as queries:
        assert steps() <= few + 1
    assert len(queries) == 1
    assert few < 10 * POSITIONS


def add_queued(generation: Generation, number: int) -> None:
    """Queue so many copies of a generation behind it, as if there were no limit."""
    Generation.objects.bulk_create(
        Generation(message=generation.message, conversation=generation.conversation, owner=generation.owner)
        for _ in range(number)
    )


def test_only_the_first_queued_prompt_of_a_conversation_is_claimable(settings):
    user = person()
    first = queued(user)
    queued(user, "And?", first.conversation)
    assert list(Generation.objects.claimable().values_list("pk", flat=True)) == [first.pk]


def continuing(user: User) -> tuple[Worker, Claim]:
    """Return a worker and its claim of a generation that continues the reasoning "Hm." and the answer "Part"."""
    worker, first = claimed(user)
    finish(worker.pk, first, result(Status.STOPPED, "Hm.", "Part"), {})
    more = actions.continue_answer(user=user, message=Message.objects.get(pk=first.message_id))
    return worker, claim(worker.pk, more.pk)


def test_finishing_a_continuation_appends_to_the_message():
    worker, claim = continuing(person())
    commit(worker.pk, [progress(claim, (Kind.REASONING, "So."), (Kind.ANSWER, " two"))])
    assert Message.objects.get(pk=claim.message_id).current_text() == ("Hm.\n\nSo.", "Part two")
    assert finish(worker.pk, claim, result(Status.COMPLETE, "So.", " two."), {})
    message = Message.objects.get(pk=claim.message_id)
    assert (message.reasoning, message.content) == ("Hm.\n\nSo.", "Part two.")


def test_finishing_stores_the_outline_with_the_seconds_of_commits():
    user = person()
    worker, first = claimed(user)
    text = "Each table has a key that grows. " * 10
    finish(worker.pk, first, Result(Status.LENGTH, text, "cut", times=[(0, 0), (len(text), 7)]), {})
    message = Message.objects.get(pk=first.message_id)
    assert message.outline["steps"] == [[0, "Each table has a key that grows", "", 0]]
    generation = Generation.objects.create(
        message=message, conversation_id=message.conversation_id, owner=user, joined_at=3
    )
    continuation = claim(worker.pk, generation.pk)
    more = "Wait, the order can change. " + text
    times = [(len(text), 9), (len(text) + 300, 12)]
    finish(worker.pk, continuation, Result(Status.COMPLETE, more, "", times=times), {})
    message.refresh_from_db()
    assert [step[3] for step in message.outline["steps"]] == [0, 9]
    assert message.outline["words"] == message.reasoning_words


def test_without_times_an_outline_is_stored_without_seconds():
    worker, claim = claimed(person())
    fail(worker.pk, claim, result(reasoning="A thought of few words.", content=""))
    assert Message.objects.get(pk=claim.message_id).outline["steps"] == [[0, "A thought of few words", "", None]]


@pytest.mark.postgresql
def test_workers_and_actions_cause_no_deadlock(postgresql_database: str):
    run_module("tests.locked_at_once", DATABASE_URL=postgresql_database, USER_DAILY_TOKENS=1_000_000)
