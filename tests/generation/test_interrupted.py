"""What happens to an answer when its worker, a commit or a stream is interrupted at an unlucky moment."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from conversations import actions
from conversations.generation import commit as commits
from conversations.generation import runner
from conversations.generation.commit import Claim, Result, claim, finish
from conversations.generation.committer import Committer
from conversations.generation.live import LiveText
from conversations.generation.mirror import Mirror
from conversations.generation.recovery import recover_orphans
from conversations.generation.runner import Run
from conversations.inference.chunks import Usage
from conversations.inference.deltas import Delta
from conversations.inference.errors import StreamCut
from conversations.inference.stream import Outcome
from conversations.models import Generation, Kind, Message, Status, Worker
from conversations.page_state import PageState
from conversations.threads import run_in_thread
from tests.factories import claimed, person
from tests.generation.test_committer import make_committer
from tests.models import NoEndpoint, registry

pytestmark = pytest.mark.django_db(transaction=True)


def continued(answer: str) -> tuple[Worker, Claim]:
    """Return a worker and its claim of the continuation of an answer."""
    user, worker = person(), Worker.objects.create()
    _, first = claimed(user, worker)
    finish(worker.pk, first, Result(Status.LENGTH, "Hm.", answer), {})
    more = actions.continue_answer(user=user, message=Message.objects.get(pk=first.message_id))
    found = claim(worker.pk, more.pk)
    assert found is not None
    return worker, found


def model(settings: Any) -> NoEndpoint:
    settings.MODELS = registry(NoEndpoint().model)
    opened = NoEndpoint(prefix_completion=False)
    opened.endpoint = SimpleNamespace(create=None)
    return opened


async def test_a_continued_answer_stays_whole_if_its_worker_is_declared_dead_before_it_has_read_the_prompt(
    monkeypatch: pytest.MonkeyPatch, settings
):
    opened = model(settings)
    worker, own = await run_in_thread(continued, "A long answer")
    runs: dict[int, Run] = {}
    committer = Committer(runs)
    committer.worker_id = worker.pk
    run = runs[own.generation_id] = Run(own, lambda: committer.worker_id, opened)
    reading, gate = threading.Event(), threading.Event()
    read_prompt = runner.read_prompt

    def read_slowly(*args: Any) -> Any:
        prompt = read_prompt(*args)
        reading.set()
        assert gate.wait(10)
        return prompt

    async def answer(create: object, request: object, sink: Any, **_: object) -> Outcome:
        sink([Delta(Kind.ANSWER, ", and the rest.")])
        return Outcome("stop", Usage(), "")

    monkeypatch.setattr(runner, "read_prompt", read_slowly)
    monkeypatch.setattr(runner, "stream", answer)
    running = asyncio.create_task(run.run())
    assert await run_in_thread(reading.wait, 10)
    await run_in_thread(recover_orphans, [worker.pk])
    assert await Generation.objects.filter(pk=own.generation_id, status=Status.QUEUED).aexists()
    await committer.commit()  # registers again and resumes
    gate.set()
    await asyncio.wait_for(running, 10)
    message = await Message.objects.aget(pk=own.message_id)
    assert (message.reasoning, message.content) == ("Hm.", "A long answer, and the rest.")


@pytest.mark.parametrize("fails", [True, False])
async def test_what_a_commit_has_taken_is_stored_when_the_answer_ends_meanwhile(
    fails: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.01)
    committer = await run_in_thread(make_committer, 1)
    [run] = committer._runs.values()
    run.feed([Delta(Kind.REASONING, "Hm. "), Delta(Kind.ANSWER, "One")])
    started, gate, refused = threading.Event(), threading.Event(), threading.Event()
    commit, finish_once = commits.commit, runner.finish
    is_down = fails

    def commit_slowly(*args: Any) -> Any:
        started.set()
        assert gate.wait(10)
        if is_down:
            raise OperationalError("down")
        return commit(*args)

    def finish_when_up(*args: Any) -> bool:
        if is_down:
            refused.set()
            raise OperationalError("down")
        return finish_once(*args)

    monkeypatch.setattr(commits, "commit", commit_slowly)
    monkeypatch.setattr(runner, "finish", finish_when_up)
    committing = asyncio.create_task(committer.commit())
    assert await run_in_thread(started.wait, 10)
    ending = asyncio.create_task(run._finish(Result(Status.COMPLETE, "Hm. ", "One")))
    if fails:
        assert await run_in_thread(refused.wait, 10)
        gate.set()
        with pytest.raises(OperationalError):
            await committing
        is_down = False
        await ending
    else:
        await ending
        gate.set()
        await committing
    generation = await Generation.objects.aget()
    assert generation.status == Status.COMPLETE
    assert None not in (generation.first_thought_at, generation.first_answer_at)


@pytest.mark.parametrize("how", ["cut", "stopped"])
async def test_words_that_a_continuation_repeats_are_not_stored_twice_if_it_ends_there(
    how: str, monkeypatch: pytest.MonkeyPatch, settings
):
    opened, answer = model(settings), "It all began when the quick brown fox jumped"
    worker, own = await run_in_thread(continued, answer)
    run = Run(own, lambda: worker.pk, opened)

    async def repeat(create: object, request: object, sink: Any, **_: object) -> None:
        sink([Delta(Kind.ANSWER, "when the ")])
        sink([Delta(Kind.ANSWER, "quick br")])
        if how == "cut":
            raise StreamCut("the connection broke")
        run.stop()
        await asyncio.Event().wait()

    monkeypatch.setattr(runner, "stream", repeat)
    await run.run()
    assert (await Message.objects.aget(pk=own.message_id)).content == answer


async def test_a_viewer_elsewhere_does_not_see_a_thought_twice_that_is_not_committed_as_one_yet():
    committer = await run_in_thread(make_committer, 1)
    [run] = committer._runs.values()
    thought, answer = "First I think about this. ", "The answer is forty-two."
    run.feed([Delta(Kind.ANSWER, thought)])
    await committer.commit()
    live = LiveText(run.claim.generation_id, run.claim.message_id)  # in another process
    mirror = Mirror(live)

    def receive(relabels: int, reasoning: str, text: str, at: int = 0) -> None:
        state = {"seconds": 1.0, "thought_seconds": None, "source": "live", "notice": "", "repeats": False}
        texts = {"at": {"reasoning": at, "answer": 0}, "reasoning": reasoning, "answer": text}
        mirror._receive({"attempt": 1, "relabels": relabels, "ended": False, "from": "x"} | state | texts)

    receive(0, "", thought)
    await mirror._read_committed(live)
    run.feed([Delta(Kind.REASONING, "", relabels=True)])
    receive(1, thought, "")
    await mirror._read_committed(live)
    receive(1, "", answer, len(thought))
    assert (str(live.reasoning), str(live.answer)) == (thought, answer)
    run.live.end()


async def test_a_commit_that_relabels_and_is_repeated_leaves_the_answer_an_answer():
    committer = await run_in_thread(make_committer, 1)
    [run] = committer._runs.values()
    run.feed([Delta(Kind.ANSWER, "Thought.")])
    await committer.commit()
    run.feed([Delta(Kind.REASONING, "", relabels=True), Delta(Kind.ANSWER, "Answer.")])
    progress = run.take_progress()
    assert await run_in_thread(commits.commit, committer.worker_id, [progress])
    run.restore_progress(progress)  # the database's response was lost
    await committer.commit()
    await run_in_thread(recover_orphans, [committer.worker_id])
    message = await Message.objects.aget(pk=run.claim.message_id)
    assert (message.reasoning, message.content) == ("Thought.", "Answer.")
    run.live.end()


def test_a_position_in_the_queue_that_is_no_longer_known_is_not_shown():
    live = LiveText(1, 1)
    live.update(queue_position=120)
    live.update(notice="Wait.")
    assert live.display.queue_position == 120
    live.update(queue_position=0)
    assert live.display.queue_position is None


async def test_a_page_shows_that_an_answer_of_a_server_that_died_waits_in_the_queue_again():
    worker, own = await run_in_thread(lambda: claimed(person()))
    page = PageState(own.conversation_id, {})
    page.apply(await run_in_thread(page.read, own.owner_id))
    [shown] = page.live_texts
    mirror = Mirror(shown.live)
    await mirror._read_committed(shown.live)
    assert shown.live.status == "thinking"
    await run_in_thread(recover_orphans, [worker.pk])
    await mirror._read_committed(shown.live)
    shown.delivered = shown.live.ended
    page.apply(await run_in_thread(page.read, own.owner_id))
    [shown] = page.live_texts
    assert shown.live.status == "queued"
