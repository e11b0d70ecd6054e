"""Generations that their worker does not finish: asked again, ended with their text, or resumed."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from conversations import actions
from conversations.generation import recovery
from conversations.generation.commit import Claim, Progress, Result, Stop, claim, commit, fail, finish
from conversations.generation.recovery import (
    DATABASE_UNAVAILABLE,
    MAX_ATTEMPTS,
    NOT_CLAIMED,
    note_lost_text,
    orphaned_claims,
    recover_orphans,
    reject,
    release,
    resume,
)
from conversations.models import Chunk, Generation, Kind, Message, Status, User, Worker
from conversations.models.generation import RUNNING
from tests.factories import claimed, person, queued

pytestmark = pytest.mark.django_db
NOTHING = ("", "")


def write(worker: Worker, claim: Claim, *chunks: tuple[Kind, str]) -> None:
    commit(worker.pk, [Progress(claim.generation_id, claim.attempt, 0, chunks)])


def cut_off(*chunks: tuple[Kind, str]) -> Claim:
    """Return a claim whose worker was declared dead, after it had committed `chunks`."""
    worker, claim = claimed(person())
    write(worker, claim, *chunks)
    recover_orphans([worker.pk])
    return claim


def resumed(claim: Claim, text: tuple[str, str], earlier: tuple[str, str] = NOTHING) -> bool:
    worker = Worker.objects.create()
    return resume(worker.pk, claim, Status.ANSWERING, timezone.now(), earlier, text)


def continuing(user: User) -> tuple[Worker, Claim]:
    """Return a worker and its claim of a generation that continues the reasoning "Hm." and the answer "Part"."""
    worker, first = claimed(user)
    finish(worker.pk, first, Result(Status.STOPPED, "Hm.", "Part"), {})
    more = actions.continue_answer(user=user, message=Message.objects.get(pk=first.message_id))
    return worker, claim(worker.pk, more.pk)


def test_an_orphan_without_text_is_asked_again_until_its_attempts_are_used():
    generation = queued(person())
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert Generation.objects.get().status == Status.QUEUED
        worker = Worker.objects.create()
        assert claim(worker.pk, generation.pk).attempt == attempt
        recover_orphans([worker.pk])
    generation.refresh_from_db()
    assert (generation.status, generation.attempt) == (Status.INTERRUPTED, MAX_ATTEMPTS)
    assert generation.error.startswith("The server that was answering did not respond at ")
    assert generation.error.endswith("No text had arrived yet.")


def test_an_orphan_with_text_is_interrupted_and_keeps_it():
    worker, claim = claimed(person())
    write(worker, claim, (Kind.REASONING, "Hm."), (Kind.ANSWER, "Part"))
    assert recover_orphans([worker.pk]) == [(claim.owner_id, claim.conversation_id)]
    generation, message = Generation.objects.get(), Message.objects.get(pk=claim.message_id)
    assert (generation.status, message.reasoning, message.content) == (Status.INTERRUPTED, "Hm.", "Part")
    assert "7 characters were saved" in generation.error
    assert not Chunk.objects.exists()
    assert not Worker.objects.filter(pk=worker.pk).exists()


def test_an_orphan_with_a_stop_request_is_stopped():
    worker, _ = claimed(person())
    Generation.objects.update(stop_requested=True)
    recover_orphans([worker.pk])
    assert Generation.objects.get().status == Status.STOPPED


def test_an_orphan_whose_text_cannot_be_stored_fails_and_does_not_stop_the_recovery_of_others(
    monkeypatch: pytest.MonkeyPatch,
):
    worker, poisoned = claimed(person())
    _, healthy = claimed(person("bob"), worker)
    write(worker, poisoned, (Kind.ANSWER, "poison"))
    write(worker, healthy, (Kind.ANSWER, "Part"))

    def refuse(message: int, columns: dict[str, object]) -> int:
        if columns["content"] == "poison":
            raise IntegrityError
        return Message.objects.filter(pk=message).update(**columns)

    monkeypatch.setattr("conversations.generation.commit.update_message", refuse)
    assert len(recover_orphans([worker.pk])) == 2
    ends = dict(Generation.objects.values_list("pk", "status"))
    assert ends == {poisoned.generation_id: Status.FAILED, healthy.generation_id: Status.INTERRUPTED}
    assert Chunk.objects.get().text == "poison"  # it was not deleted


def test_generations_of_live_workers_are_not_orphans():
    claimed(person())
    assert recover_orphans([]) == []
    assert Generation.objects.get().status in RUNNING


def test_an_orphaned_continuation_without_text_is_requeued():
    worker, _ = continuing(person())
    recover_orphans([worker.pk])
    assert Generation.objects.last().status == Status.QUEUED
    assert Message.objects.last().content == "Part"


def test_an_orphaned_continuation_with_text_keeps_both_parts():
    worker, claim = continuing(person())
    write(worker, claim, (Kind.ANSWER, " two"))
    recover_orphans([worker.pk])
    generation, message = Generation.objects.last(), Message.objects.get(pk=claim.message_id)
    assert (generation.status, message.reasoning, message.content) == (Status.INTERRUPTED, "Hm.", "Part two")
    assert "11 characters were saved" in generation.error


def test_a_claim_whose_response_was_lost_is_found():
    worker, known = claimed(person())
    _, lost = claimed(person("bob"), worker)
    assert orphaned_claims(worker.pk, [known.generation_id]) == {lost.generation_id: lost}


def test_a_released_generation_can_be_claimed_again():
    worker, first = claimed(person())
    assert release(worker.pk, first, DATABASE_UNAVAILABLE)
    assert claim(Worker.objects.create().pk, first.generation_id).attempt == 2


def test_a_generation_with_text_is_not_asked_again_when_it_is_released():
    worker, claim = claimed(person())
    write(worker, claim, (Kind.ANSWER, "Part"))
    assert release(worker.pk, claim, DATABASE_UNAVAILABLE)
    generation, message = Generation.objects.get(), Message.objects.get(pk=claim.message_id)
    assert (generation.status, message.content) == (Status.INTERRUPTED, "Part")
    assert generation.error.startswith("The database was unavailable at ")


@pytest.mark.parametrize("is_written", [True, False])
def test_a_generation_that_was_stopped_ends_when_it_is_released(is_written: bool):
    worker, claim = claimed(person())
    if is_written:
        actions.stop(generation=Generation.objects.get())
    assert release(worker.pk, claim, DATABASE_UNAVAILABLE, stopped=not is_written)
    assert Generation.objects.get().status == Status.STOPPED


def test_a_worker_releases_only_what_it_owns():
    _, claim = claimed(person())
    assert not release(Worker.objects.create().pk, claim, DATABASE_UNAVAILABLE)
    assert Generation.objects.get().status in RUNNING


def test_a_queued_generation_that_cannot_be_claimed_fails():
    generation = queued(person())
    assert reject(generation.pk) == [(generation.owner_id, generation.conversation_id)]
    generation.refresh_from_db()
    assert (generation.status, generation.error) == (Status.FAILED, NOT_CLAIMED)
    assert reject(generation.pk) == []


def test_a_failed_generation_keeps_its_text_without_what_cannot_be_stored():
    worker, claim = claimed(person())
    assert fail(worker.pk, claim, Result(Status.COMPLETE, "Hm.\x00", "Half \ud83d of it"))
    generation, message = Generation.objects.get(), Message.objects.get(pk=claim.message_id)
    assert (generation.status, message.reasoning, message.content) == (Status.FAILED, "Hm.\ufffd", "Half \ufffd of it")


def test_a_worker_that_was_cut_off_resumes_its_generation_with_all_text():
    claim = cut_off((Kind.REASONING, "Hm."), (Kind.ANSWER, "Pa"))
    assert resumed(claim, ("Hm.", "Part two"))
    generation, message = Generation.objects.get(), Message.objects.get(pk=claim.message_id)
    assert (generation.status, generation.error, generation.finished_at) == (Status.ANSWERING, "", None)
    assert (message.reasoning, message.content) == NOTHING
    assert message.current_text() == ("Hm.", "Part two")
    assert finish(generation.worker_id, claim, Result(Status.COMPLETE, "Hm.", "Part two."), {})
    message.refresh_from_db()
    assert (message.reasoning, message.content) == ("Hm.", "Part two.")


def test_resuming_again_because_the_response_was_lost_changes_nothing():
    claim = cut_off((Kind.ANSWER, "Part"))
    worker = Worker.objects.create()
    for _ in range(2):
        assert resume(worker.pk, claim, Status.ANSWERING, timezone.now(), NOTHING, ("", "Part"))
        assert Message.objects.get(pk=claim.message_id).current_text() == ("", "Part")


def test_a_resumed_continuation_keeps_what_it_continues():
    worker, claim = continuing(person())
    write(worker, claim, (Kind.ANSWER, " tw"))
    recover_orphans([worker.pk])
    assert resumed(claim, ("", " two"), earlier=("Hm.", "Part"))
    message = Message.objects.get(pk=claim.message_id)
    assert (message.reasoning, message.content) == ("Hm.", "Part")
    assert message.current_text() == ("Hm.", "Part two")


def test_a_requeued_generation_is_resumed_and_not_asked_again():
    claim = cut_off()
    started_at = timezone.now() - timedelta(seconds=30)
    worker = Worker.objects.create()
    assert resume(worker.pk, claim, Status.THINKING, started_at, NOTHING, ("Hm.", ""))
    generation = Generation.objects.get()
    assert (generation.status, generation.attempt, generation.started_at) == (Status.THINKING, 1, started_at)


def test_a_generation_that_was_stopped_meanwhile_is_resumed_to_store_its_text():
    worker, claim = claimed(person())
    actions.stop(generation=Generation.objects.get())
    recover_orphans([worker.pk])
    assert resumed(claim, ("", "Part"))
    generation = Generation.objects.get()
    assert commit(generation.worker_id, [Progress(claim.generation_id, claim.attempt, 1, [])]) == {
        generation.pk: Stop.REQUESTED
    }


def test_a_resumed_generation_takes_a_slot_of_its_own_even_if_all_are_in_use(settings):
    settings.USER_CONCURRENCY = 1
    lost = cut_off((Kind.ANSWER, "Part"))
    worker = Worker.objects.create()
    assert claim(worker.pk, queued(User.objects.get()).pk)
    assert resumed(lost, ("", "Part"))
    assert list(Generation.objects.running().order_by("pk").values_list("slot", flat=True)) == [1, 0]


def follow_up(user: User, message: Message) -> None:
    more = actions.send_message(user=user, content="And?", conversation=message.conversation)
    assert claim(Worker.objects.create().pk, more.pk)


def continue_it(user: User, message: Message) -> None:
    actions.continue_answer(user=user, message=message)


def regenerate_it(user: User, message: Message) -> None:
    assert claim(Worker.objects.create().pk, actions.regenerate(user=user, message=message).pk)


def delete_it(user: User, message: Message) -> None:
    actions.delete_at_once(conversation=message.conversation)


@pytest.mark.parametrize("follow", [follow_up, continue_it, regenerate_it, delete_it], ids=lambda f: f.__name__)
def test_a_generation_is_not_resumed_after_the_conversation_went_on(follow):
    claim = cut_off((Kind.ANSWER, "Part"))
    message = Message.objects.get(pk=claim.message_id)
    follow(User.objects.get(), message)
    before = list(Message.objects.order_by("pk").values_list("content", flat=True))
    assert not resumed(claim, ("", "Part two"))
    assert list(Message.objects.order_by("pk").values_list("content", flat=True)) == before
    assert not Chunk.objects.exists()


def test_a_generation_is_not_resumed_once_it_was_claimed_again():
    claim_, other = cut_off(), Worker.objects.create()
    assert claim(other.pk, claim_.generation_id)
    assert not resumed(claim_, ("", "Part"))
    recover_orphans([other.pk])
    assert not resumed(claim_, ("", "Part"))


def test_a_question_that_still_waits_behind_a_generation_does_not_prevent_resuming():
    worker, claim = claimed(person())
    queued(User.objects.get(), "And?", Generation.objects.get().conversation)
    write(worker, claim, (Kind.ANSWER, "Part"))
    recover_orphans([worker.pk])
    assert resumed(claim, ("", "Part two"))


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.FAILED, Status.INTERRUPTED, Status.STOPPED])
def test_a_generation_that_its_worker_ended_is_not_resumed(status: Status):
    worker, claim = claimed(person())
    assert finish(worker.pk, claim, Result(status, "", "All of it."), {})
    assert not resumed(claim, ("", "All of it."))
    assert Generation.objects.get().status == status


def test_a_worker_that_was_declared_dead_again_cannot_resume():
    claim = cut_off((Kind.ANSWER, "Part"))
    with pytest.raises(Worker.DoesNotExist):
        resume(0, claim, Status.ANSWERING, timezone.now(), NOTHING, ("", "Part two"))
    assert Message.objects.get(pk=claim.message_id).content == "Part"


def test_a_notice_says_how_much_text_was_lost():
    claim = cut_off((Kind.ANSWER, "Part"))
    continue_it(User.objects.get(), Message.objects.get(pk=claim.message_id))
    note_lost_text(claim, 1480)
    generation = Generation.objects.get(pk=claim.generation_id)
    assert "4 characters were saved. 1,480 more arrived and were lost: " in generation.error


def test_nothing_is_said_to_be_lost_where_the_worker_itself_stored_the_end():
    worker, claim = claimed(person())
    assert finish(worker.pk, claim, Result(Status.INTERRUPTED, "", "All.", "Notice."), {})
    note_lost_text(claim, 4)
    assert Generation.objects.get().error == "Notice."


def test_no_slot_is_found_while_others_run_in_the_conversation(monkeypatch: pytest.MonkeyPatch):
    # The claim of another worker commits between the check of the conversation and the update.
    lost = cut_off((Kind.ANSWER, "Part"))
    later = queued(User.objects.get(), "And?", Generation.objects.get().conversation)
    worker, real = Worker.objects.create(), recovery._take_slot

    def claim_first(*arguments):
        assert claim(worker.pk, later.pk)
        return real(*arguments)

    monkeypatch.setattr(recovery, "_take_slot", claim_first)
    assert not resumed(lost, ("", "Part two"))
    assert Message.objects.get(pk=lost.message_id).content == "Part"
