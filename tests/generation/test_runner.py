"""A run's uncommitted text, and its result when something fails."""

import asyncio
import gc
import uuid
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.db import OperationalError

from conversations.generation import commit, recovery, runner
from conversations.generation.runner import Run
from conversations.inference.deltas import Delta
from conversations.inference.endpoint import open_models
from conversations.models import Chunk, Generation, Kind, Message, Status, Worker
from conversations.threads import run_in_thread
from tests.endpoint import Endpoint as Server
from tests.endpoint import Exchange
from tests.factories import claimed, person
from tests.faults.traffic import garbage
from tests.models import NoEndpoint, model, registry

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    worker, claim = claimed(person())
    return Run(claim, lambda: worker.pk, NoEndpoint())


def committed(progress: commit.Progress) -> bool:
    return bool(commit.commit(Worker.objects.get().pk, [progress]))


def stored(run: Run) -> tuple[str, str]:
    return Message.objects.get(pk=run.claim.message_id).current_text()


async def test_an_internal_error_ends_the_generation_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    results: list[commit.Result] = []

    async def fail_to_read(function: Callable[..., object], *arguments: Any) -> bool:
        if function is not commit.finish:
            raise RuntimeError("canary")
        results.append(arguments[2])
        return True

    monkeypatch.setattr(runner, "run_in_thread", fail_to_read)
    run = Run(commit.Claim(1, 1, 1, uuid.uuid4(), 1), lambda: 1, NoEndpoint())
    await run.run()
    [result] = results
    assert result.status == Status.FAILED
    assert result.error.startswith("Something went wrong on this site.")
    assert "canary" not in result.error
    [line] = [record for record in caplog.records if record.exc_info]
    assert str(line.exc_info[1]) == "canary"
    assert run.live.ended


@pytest.fixture
async def streamed(transactional_db, endpoint: Server, settings) -> AsyncIterator[Run]:
    """A run of a claimed generation at a real endpoint."""
    settings.MODELS = registry(model(endpoint.base_url))
    opened = await open_models()
    worker, claim = await run_in_thread(lambda: claimed(person()))
    yield Run(claim, lambda: worker.pk, opened.find("m"))
    await opened.close()


async def ended(run: Run) -> tuple[str, str, str]:
    """Return the status, error and answer of the run's generation."""
    generation = await Generation.objects.select_related("message").aget(pk=run.claim.generation_id)
    return generation.status, generation.error, generation.message.content


async def answer_without_end(exchange: Exchange) -> None:
    await exchange.answer("One, two, three")
    await exchange.gate("never")


async def test_an_answer_beyond_the_longest_ends_with_its_text(
    monkeypatch: pytest.MonkeyPatch, streamed: Run, endpoint: Server
):
    monkeypatch.setattr(runner, "MAX_CHARACTERS", 10)
    endpoint.respond = answer_without_end
    await streamed.run()
    advice = "What arrived has been saved. Continue for the rest, or try again."
    assert await ended(streamed) == (Status.LENGTH, f"{runner.TOO_LONG} {advice}", "One, two, three")
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


async def test_an_answer_that_takes_too_long_ends_with_its_text(
    monkeypatch: pytest.MonkeyPatch, streamed: Run, endpoint: Server
):
    monkeypatch.setattr(runner, "MAX_SECONDS", 1)
    endpoint.respond = answer_without_end
    await streamed.run()
    status, error, content = await ended(streamed)
    assert (status, content) == (Status.INTERRUPTED, "One, two, three")
    assert error.startswith(runner.TOO_SLOW)
    assert await asyncio.to_thread(endpoint.exchanges[0].closed_by_client.wait, 10)


async def test_a_failed_run_is_not_kept_in_memory(streamed: Run, endpoint: Server):
    endpoint.respond = garbage
    run = Run(streamed.claim, streamed._worker_id, streamed._model)
    kept = weakref.ref(run)
    gc.disable()  # the garbage collector counts objects, whatever their size
    try:
        await run.run()
        del run
        assert (await ended(streamed))[0] == Status.FAILED
        assert kept() is None
    finally:
        gc.enable()


async def test_an_answer_gets_what_is_left_of_the_day_and_says_so(streamed: Run, endpoint: Server, settings):
    async def answer(exchange: Exchange) -> None:
        await exchange.answer("One, two")
        await exchange.finish("length")

    endpoint.respond = answer
    settings.USER_DAILY_TOKENS = 100
    await Generation.objects.aupdate(reserved_tokens=40)
    await streamed.run()
    status, error, _ = await ended(streamed)
    assert (status, endpoint.exchanges[0].body["max_tokens"]) == (Status.LENGTH, 91)
    assert error.startswith("The answer used what was left of today's tokens. You can continue it after 00:00")


async def test_a_history_that_needs_more_than_is_left_of_the_day_is_not_sent(streamed: Run, endpoint: Server, settings):
    settings.USER_DAILY_TOKENS, settings.SYSTEM_PROMPT = 100, "Be brief." * 50
    await Generation.objects.aupdate(reserved_tokens=40)
    await streamed.run()
    status, error, _ = await ended(streamed)
    assert (status, endpoint.exchanges) == (Status.FAILED, [])
    assert "needs about 177 tokens, and you have 100 of today's 100 left. Your question has been saved." in error
    assert streamed._model.problem == ""


async def test_the_tokens_of_an_answer_that_is_stopped_are_estimated(
    monkeypatch: pytest.MonkeyPatch, streamed: Run, endpoint: Server
):
    def feed_and_stop(deltas: list[Delta]) -> None:
        Run.feed(streamed, deltas)
        streamed.stop()

    monkeypatch.setattr(streamed, "feed", feed_and_stop)
    endpoint.respond = answer_without_end
    await streamed.run()
    generation = await Generation.objects.aget()
    counts = generation.prompt_tokens, generation.reasoning_tokens, generation.answer_tokens
    assert (generation.status, counts, generation.tokens_estimated) == (Status.STOPPED, (9, None, 13), True)


async def test_a_result_that_cannot_be_stored_fails_once_with_its_text(
    caplog: pytest.LogCaptureFixture, streamed: Run, endpoint: Server
):
    await streamed._finish(commit.Result(Status.COMPLETE, "", "half \ud83d", finish_reason="\ud83d"))
    assert await ended(streamed) == (Status.FAILED, commit.NOT_STORED, "half \ufffd")
    assert caplog.messages == [f"result of generation {streamed.claim.generation_id} not stored: UnicodeEncodeError"]


async def test_a_stop_while_a_requeue_waits_for_the_database_prevents_another_attempt(
    monkeypatch: pytest.MonkeyPatch, streamed: Run
):
    real = recovery.release

    def fail_first(*arguments) -> bool:
        if not streamed._stopped:
            streamed.stop()
            raise OperationalError
        return real(*arguments)

    monkeypatch.setattr(recovery, "release", fail_first)
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0)
    streamed.interrupt(recovery.SERVER_RESTARTED)
    await streamed.run()
    assert await ended(streamed) == (Status.STOPPED, "", "")


def test_text_of_a_failed_commit_is_in_the_next_one(run: Run):
    run.feed([Delta(Kind.REASONING, "Hm. ")])
    run.restore_progress(run.take_progress())
    run.feed([Delta(Kind.REASONING, "So. "), Delta(Kind.ANSWER, "Yes")])
    progress = run.take_progress()
    assert run.uncommitted_characters == len("Hm. So. Yes")  # until the commit is known to have succeeded
    assert committed(progress)
    run.mark_committed(progress)
    assert run.uncommitted_characters == 0
    assert stored(run) == ("Hm. So. ", "Yes")


def test_a_commit_whose_response_was_lost_is_repeated_without_duplicates(run: Run):
    run.feed([Delta(Kind.REASONING, "Hm. ")])
    progress = run.take_progress()
    assert committed(progress)
    run.restore_progress(progress)
    run.feed([Delta(Kind.REASONING, "So. ")])
    assert committed(run.take_progress())
    assert stored(run) == ("Hm. So. ", "")
    assert Chunk.objects.count() == 2


def test_uncommitted_text_is_relabelled_too(run: Run):
    run.feed([Delta(Kind.ANSWER, "Thinking ")])
    run.restore_progress(run.take_progress())
    run.feed([Delta(Kind.ANSWER, "aloud. ")])
    run.feed([Delta(Kind.REASONING, "", relabels=True), Delta(Kind.ANSWER, "Yes.")])
    assert committed(run.take_progress())
    assert stored(run) == ("Thinking aloud. ", "Yes.")


def test_answer_text_relabelled_in_the_same_read_is_stored_as_reasoning(run: Run):
    run.feed([Delta(Kind.ANSWER, "Thinking aloud."), Delta(Kind.REASONING, "", relabels=True)])
    assert committed(run.take_progress())
    assert stored(run) == ("Thinking aloud.", "")


def test_a_failed_commit_is_repeated_as_reasoning_after_relabelling(run: Run):
    run.feed([Delta(Kind.ANSWER, "Thinking aloud.")])
    progress = run.take_progress()
    run.feed([Delta(Kind.REASONING, "", relabels=True)])
    run.restore_progress(progress)
    assert committed(run.take_progress())
    assert stored(run) == ("Thinking aloud.", "")


def test_relabelling_moves_the_time_of_the_first_answer_to_the_first_reasoning(run: Run):
    run.feed([Delta(Kind.ANSWER, "Thinking aloud.")])
    first_answer_at = run.take_progress().fields["first_answer_at"]
    run.feed([Delta(Kind.REASONING, "", relabels=True)])
    fields = run.take_progress().fields
    assert (fields["first_thought_at"], fields["first_answer_at"]) == (first_answer_at, None)
