"""What a run keeps until it is committed."""

import uuid

import pytest

from conversations.generation import commit, runner
from conversations.generation.runner import Run
from conversations.inference.deltas import Delta
from conversations.models import Chunk, Kind, Message, Status
from tests.factories import claimed, person

pytestmark = pytest.mark.django_db


class NoEndpoint:
    model = "test-model"


@pytest.fixture
def run() -> Run:
    worker, claim = claimed(person())
    return Run(claim, lambda: worker.pk, NoEndpoint())


def stored(run: Run) -> tuple[str, str]:
    return Message.objects.get(pk=run.claim.message_id).text_so_far()


async def test_a_fault_of_ours_has_a_sentence_and_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail() -> None:
        raise RuntimeError("canary")

    ends: list[commit.End] = []
    monkeypatch.setattr(runner, "finish", lambda _worker, _claim, end, _fields: ends.append(end) or True)
    run = Run(commit.Claim(1, 1, 1, uuid.uuid4(), 1), lambda: 1, NoEndpoint())
    monkeypatch.setattr(run, "_prompt", fail)
    await run.run()
    [end] = ends
    assert end.status == Status.FAILED
    assert end.error.startswith("Something went wrong on this site.")
    assert "canary" not in end.error
    [line] = [record for record in caplog.records if record.exc_info]
    assert str(line.exc_info[1]) == "canary"
    assert run.live.ended


def test_a_commit_that_failed_is_made_up_for_by_the_next(run: Run):
    run._feed([Delta(Kind.REASONING, "Hm. ")])
    run.keep_progress(run.take_progress())
    run._feed([Delta(Kind.REASONING, "So. "), Delta(Kind.ANSWER, "Yes")])
    progress = run.take_progress()
    assert run.waiting_characters == len("Hm. So. Yes")  # as long as nobody knows what becomes of the commit
    assert commit.commit(run._worker_id(), [progress])
    run.note_stored(progress)
    assert run.waiting_characters == 0
    assert stored(run) == ("Hm. So. ", "Yes")


def test_a_commit_whose_answer_was_lost_is_repeated_without_harm(run: Run):
    run._feed([Delta(Kind.REASONING, "Hm. ")])
    progress = run.take_progress()
    assert commit.commit(run._worker_id(), [progress])
    run.keep_progress(progress)  # as far as this process knows, it failed
    run._feed([Delta(Kind.REASONING, "So. ")])
    assert commit.commit(run._worker_id(), [run.take_progress()])
    assert stored(run) == ("Hm. So. ", "")
    assert Chunk.objects.count() == 2


def test_what_waits_to_be_committed_turns_into_reasoning_with_the_rest(run: Run):
    run._feed([Delta(Kind.ANSWER, "Thinking ")])
    run.keep_progress(run.take_progress())
    run._feed([Delta(Kind.ANSWER, "aloud. ")])
    run._feed([Delta(Kind.REASONING, "", relabels=True), Delta(Kind.ANSWER, "Yes.")])
    assert commit.commit(run._worker_id(), [run.take_progress()])
    assert stored(run) == ("Thinking aloud. ", "Yes.")


def test_answer_text_relabelled_in_the_same_read_is_stored_as_reasoning(run: Run):
    run._feed([Delta(Kind.ANSWER, "Thinking aloud."), Delta(Kind.REASONING, "", relabels=True)])
    assert commit.commit(run._worker_id(), [run.take_progress()])
    assert stored(run) == ("Thinking aloud.", "")


def test_a_failed_commit_is_repeated_as_reasoning_when_it_is_relabelled_meanwhile(run: Run):
    run._feed([Delta(Kind.ANSWER, "Thinking aloud.")])
    progress = run.take_progress()
    run._feed([Delta(Kind.REASONING, "", relabels=True)])
    run.keep_progress(progress)
    assert commit.commit(run._worker_id(), [run.take_progress()])
    assert stored(run) == ("Thinking aloud.", "")


def test_relabelling_moves_the_time_of_the_first_answer_to_the_first_thought(run: Run):
    run._feed([Delta(Kind.ANSWER, "Thinking aloud.")])
    first_answer_at = run.take_progress().fields["first_answer_at"]
    run._feed([Delta(Kind.REASONING, "", relabels=True)])
    fields = run.take_progress().fields
    assert (fields["first_thought_at"], fields["first_answer_at"]) == (first_answer_at, None)
