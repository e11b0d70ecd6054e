"""A run's uncommitted text, and its result when something fails."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from conversations.generation import commit, runner
from conversations.generation.runner import Run
from conversations.inference.deltas import Delta
from conversations.models import Chunk, Kind, Message, Status, Worker
from tests.factories import claimed, person

pytestmark = pytest.mark.django_db


class NoEndpoint:
    model = "test-model"


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
