"""Commits of a worker whose text cannot be stored, or which was declared dead."""

import asyncio
import uuid

import pytest

from conversations import actions
from conversations.generation.commit import Result, claim
from conversations.generation.committer import Committer
from conversations.generation.recovery import recover_orphans
from conversations.generation.runner import Run
from conversations.inference.deltas import Delta
from conversations.models import Generation, Kind, Message, Status, User, Worker
from conversations.threads import run_in_thread
from tests.factories import claimed, person
from tests.models import NoEndpoint

pytestmark = pytest.mark.django_db(transaction=True)


def make_committer(number: int) -> Committer:
    """Return the committer of a worker with this number of runs."""
    runs: dict[int, Run] = {}
    committer, worker = Committer(runs), Worker.objects.create()
    committer.worker_id = worker.pk
    for _ in range(number):
        _, claim = claimed(person(uuid.uuid4().hex), worker)
        run = runs[claim.generation_id] = Run(claim, lambda: committer.worker_id, NoEndpoint())
        run.live.start(claim.attempt)
    return committer


def stored(run: Run) -> tuple[str, str]:
    return Message.objects.get(pk=run.claim.message_id).current_text()


async def test_text_that_cannot_be_stored_ends_its_generation_and_no_other():
    committer = await run_in_thread(make_committer, 3)
    runs = list(committer._runs.values())
    for run, text in zip(runs, ("Before.", "half of it: \ud83d", "After."), strict=True):
        run.feed([Delta(Kind.ANSWER, text)])
    await committer.commit()
    assert [run.is_ending for run in runs] == [False, True, False]
    assert await run_in_thread(stored, runs[0]) == ("", "Before.")
    assert await run_in_thread(stored, runs[2]) == ("", "After.")
    runs[0].feed([Delta(Kind.ANSWER, " More.")])
    await committer.commit()  # without the generation that is ending
    assert await run_in_thread(stored, runs[0]) == ("", "Before. More.")
    await runs[1]._finish(Result(Status.FAILED, "", "half of it: \ud83d"))
    generation = await Generation.objects.select_related("message").aget(pk=runs[1].claim.generation_id)
    assert (generation.status, generation.message.content) == (Status.FAILED, "half of it: \ufffd")
    assert "could not be saved as the model sent it" in generation.error


async def test_a_worker_that_was_declared_dead_registers_again_and_resumes():
    committer = await run_in_thread(make_committer, 1)
    [run] = committer._runs.values()
    run.feed([Delta(Kind.REASONING, "Hm. "), Delta(Kind.ANSWER, "One")])
    await committer.commit()
    dead = committer.worker_id
    await run_in_thread(recover_orphans, [dead])
    run.feed([Delta(Kind.ANSWER, ", two")])
    await committer.commit()
    assert (await Generation.objects.aget()).worker_id == committer.worker_id != dead
    assert await run_in_thread(stored, run) == ("Hm. ", "One, two")
    run.feed([Delta(Kind.ANSWER, ", three")])
    await committer.commit()
    assert await run_in_thread(stored, run) == ("Hm. ", "One, two, three")
    assert run.uncommitted_characters == 0


async def test_a_result_is_stored_although_its_worker_was_declared_dead():
    committer = await run_in_thread(make_committer, 1)
    [run] = committer._runs.values()
    run.feed([Delta(Kind.ANSWER, "One")])
    await committer.commit()
    await run_in_thread(recover_orphans, [committer.worker_id])
    run.feed([Delta(Kind.ANSWER, ", two")])
    ending = asyncio.get_running_loop().create_task(run._finish(Result(Status.COMPLETE, "", "One, two")))
    while not ending.done():
        await committer.commit()
    generation = await Generation.objects.select_related("message").aget()
    assert (generation.status, generation.message.content) == (Status.COMPLETE, "One, two")


async def test_a_page_is_told_how_much_was_lost_if_the_conversation_went_on():
    committer = await run_in_thread(make_committer, 1)
    [run] = committer._runs.values()
    run.feed([Delta(Kind.ANSWER, "One")])
    await committer.commit()
    await run_in_thread(recover_orphans, [committer.worker_id])
    run.feed([Delta(Kind.ANSWER, ", two")])

    def follow_up() -> None:
        conversation = Generation.objects.get().conversation
        more = actions.send_message(user=User.objects.get(), content="And?", conversation=conversation)
        assert claim(Worker.objects.create().pk, more.pk)

    await run_in_thread(follow_up)
    await committer.commit()
    assert run.live.ended
    generation = await Generation.objects.select_related("message").aget(pk=run.claim.generation_id)
    assert (generation.status, generation.message.content) == (Status.INTERRUPTED, "One")
    assert "3 characters were saved. 5 more arrived and were lost" in generation.error
