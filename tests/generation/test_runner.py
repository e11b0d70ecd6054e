"""What a run keeps until it is committed."""

import pytest

from conversations.generation import commit
from conversations.generation.runner import Run
from conversations.inference.tags import Delta
from conversations.models import Chunk, Kind, Message
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
