"""What a worker writes: claims, the one-second commit, ends, and the settling of what dead workers left.

Every statement is conditional on `worker`, `attempt` and a live status. That is the fence: a worker that was taken for
dead finds its rows gone from the answer and drops them. All functions are synchronous and run in threads.
"""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from conversations.inference.chunks import Usage
from conversations.models import Chunk, Conversation, Generation, Kind, Message, Status, Worker
from conversations.models.generation import RUNNING
from conversations.models.prepared import prepared, prepared_update
from conversations.models.words import count_words

RESTARTED = "The server restarted"
DATABASE_AWAY = "The database was unavailable for too long"


@dataclass(frozen=True, slots=True)
class Claim:
    """A generation that is this worker's to run."""

    generation_id: int
    attempt: int
    message_id: int
    conversation_id: uuid.UUID
    owner_id: int

    @classmethod
    def of(cls, generation: Generation) -> Self:
        return cls(
            generation.pk, generation.attempt, generation.message_id, generation.conversation_id, generation.owner_id
        )


@dataclass(slots=True)
class Progress:
    """What one running generation has to write since the last commit."""

    generation_id: int
    attempt: int
    sequence: int
    pieces: Sequence[tuple[Kind, str]]
    relabels: bool = False
    fields: dict[str, object] = field(default_factory=dict)  # columns of the generation that changed


@dataclass(frozen=True, slots=True)
class End:
    """How a generation ended, with all that it said."""

    status: Status
    reasoning: str
    content: str
    error: str = ""
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)


def claim(worker_id: int, generation_id: int) -> Claim | None:
    """Claim a queued generation; None if it is gone, not its turn, or its owner's slots are taken."""
    found = _queued(generation_id)
    if not found:
        return None
    [(attempt, owner, message, conversation)] = found
    taken = dict(_slots(owner))
    if conversation in taken:
        return None
    for slot in sorted(set(range(settings.USER_CONCURRENCY)) - set(taken.values())):
        try:
            claimed = _claim(generation_id, attempt, worker_id, attempt + 1, slot, timezone.now())
        except IntegrityError:
            continue  # another claimer was faster to this slot, or to this conversation: the constraints told
        return Claim(generation_id, attempt + 1, message, conversation, owner) if claimed else None
    return None


@prepared
def _queued(generation: Any) -> QuerySet:
    queued = Generation.objects.filter(pk=generation, status=Status.QUEUED)
    return queued.values_list("attempt", "owner", "message", "conversation")


@prepared_update
def _claim(generation: Any, attempt: Any, worker: Any, next_attempt: Any, slot: Any, now: Any) -> tuple[QuerySet, dict]:
    ahead = Generation.objects.filter(conversation=OuterRef("conversation"), status=Status.QUEUED, pk__lt=generation)
    queued = Generation.objects.filter(pk=generation, status=Status.QUEUED, attempt=attempt).exclude(Exists(ahead))
    claimed = {"status": Status.THINKING, "worker": worker, "attempt": next_attempt, "slot": slot, "started_at": now}
    return queued, claimed


@prepared
def _slots(owner: Any) -> QuerySet:
    return Generation.objects.running().filter(owner=owner).values_list("conversation", "slot")


@prepared
def _message(pk: Any) -> QuerySet:
    return Message.objects.filter(pk=pk)


def commit(worker_id: int, progress: Sequence[Progress]) -> dict[int, bool] | None:
    """Write what all running generations said since the last commit, in one transaction, and beat.

    Return stop_requested by generation id for those that are still this worker's; None if the worker itself was taken
    for dead and must register anew.
    """
    with transaction.atomic():
        if not Worker.objects.filter(pk=worker_id).update(beat=F("beat") + 1):
            return None
        held = _hold(worker_id, {p.generation_id: p.attempt for p in progress})
        mine = [p for p in progress if p.generation_id in held]
        for p in mine:
            if p.relabels:
                Chunk.objects.filter(generation=p.generation_id).update(kind=Kind.REASONING)
            if p.fields:
                _note(p.generation_id, p.fields)
        Chunk.objects.bulk_create(
            (
                Chunk(
                    generation_id=p.generation_id,
                    attempt=p.attempt,
                    sequence=p.sequence + number,
                    kind=kind,
                    text=text,
                )
                for p in mine
                for number, (kind, text) in enumerate(p.pieces)
            ),
            # A commit whose answer was lost with the connection is repeated.
            ignore_conflicts=True,
        )
    return held


def finish(worker_id: int, claimed: Claim, end: End, fields: dict[str, object]) -> bool:
    """Fold a generation's text into its message and end it, in one transaction; False if it was taken away."""
    with transaction.atomic():
        return _fold(partial(_end_mine, worker_id, claimed.generation_id, claimed.attempt), claimed, end, fields)


def release(worker_id: int, claimed: Claim) -> bool:
    """Give back a generation that has said nothing yet; False if it was taken away."""
    return bool(
        Generation.objects.filter(
            pk=claimed.generation_id, worker=worker_id, attempt=claimed.attempt, status__in=RUNNING
        ).update(status=Status.QUEUED, worker=None, slot=None, started_at=None)
    )


def unowned(worker_id: int, known: Collection[int]) -> dict[int, Claim]:
    """Return, by id, what this worker has claimed without knowing: the answer to a claim was lost."""
    unknown = {pk for (pk,) in _owned(worker_id)} - set(known)
    lost = Generation.objects.running().filter(worker=worker_id, pk__in=unknown) if unknown else ()
    return {generation.pk: Claim.of(generation) for generation in lost}


def settle_orphans(dead: list[int]) -> list[tuple[int, uuid.UUID]]:
    """End or requeue what the workers `dead`, and workers whose row is gone, left running.

    Return the owners' and the conversations' ids.

    A generation that said nothing and has been tried once goes back to the queue; any other ends as interrupted.
    """
    settled = []
    for (pk,) in _orphans(dead):
        with transaction.atomic():
            generation = _orphaned_by(dead).select_for_update(of=("self",)).filter(pk=pk).first()
            if generation is None:
                continue
            said = generation.said_so_far()
            if not any(said) and generation.attempt < 2 and not generation.stop_requested:
                Generation.objects.filter(pk=pk).update(status=Status.QUEUED, worker=None, slot=None, started_at=None)
            else:
                status = Status.STOPPED if generation.stop_requested else Status.INTERRUPTED
                kept = sum(map(len, generation.message.followed_by(*said)))
                error = "" if generation.stop_requested else interrupted(RESTARTED, kept)
                _fold(partial(_end_any, pk), Claim.of(generation), End(status, *said, error), {})
            settled.append((generation.owner_id, generation.conversation_id))
    Worker.objects.filter(pk__in=dead).delete()
    return settled


@prepared
def _owned(worker: Any) -> QuerySet:
    return Generation.objects.running().filter(worker=worker).values_list("pk")


@prepared
def _orphans(dead: Any) -> QuerySet:
    return _orphaned_by(dead).values_list("pk")


def _orphaned_by(dead: Any) -> QuerySet:
    return Generation.objects.running().filter(Q(worker=None) | Q(worker__in=dead))


def interrupted(cause: str, characters: int) -> str:
    """Return the sentence for an answer that the site itself cut short just now."""
    time = timezone.localtime().strftime("%H:%M %Z")
    kept = f"{characters:,} characters are saved" if characters else "no text had arrived yet"
    return f"{cause} at {time}; {kept}."


def _hold(worker_id: int, attempts: dict[int, int]) -> dict[int, bool]:
    """Lock the generations that are still this worker's; return stop_requested by id.

    On PostgreSQL the rows are locked to the transaction's end; on SQLite the IMMEDIATE transaction holds the database.
    """
    rows = (
        Generation.objects.select_for_update()
        .filter(pk__in=attempts, worker=worker_id, status__in=RUNNING)
        .order_by("pk")
        .values_list("pk", "attempt", "stop_requested")
    )
    return {pk: stop_requested for pk, attempt, stop_requested in rows if attempts[pk] == attempt}


@prepared_update
def _note(generation: Any, columns: Any) -> tuple[QuerySet, dict]:
    return Generation.objects.filter(pk=generation), columns


@prepared_update
def _end_mine(worker: Any, generation: Any, attempt: Any, columns: Any) -> tuple[QuerySet, dict]:
    return Generation.objects.running().filter(pk=generation, worker=worker, attempt=attempt), columns


@prepared_update
def _end_any(generation: Any, columns: Any) -> tuple[QuerySet, dict]:
    return Generation.objects.running().filter(pk=generation), columns


@prepared_update
def _write_text(message: Any, columns: Any) -> tuple[QuerySet, dict]:
    return Message.objects.filter(pk=message), columns


@prepared_update
def _date(conversation: Any, columns: Any) -> tuple[QuerySet, dict]:
    return Conversation.objects.filter(pk=conversation), columns


def _fold(fenced: Callable[[dict[str, object]], int], claimed: Claim, end: End, fields: dict[str, object]) -> bool:
    """Write an end, by `fenced`, and its text; False, and nothing, if that does not find the generation any more."""
    now = timezone.now()
    ended = {
        "status": end.status,
        "slot": None,
        "error": end.error,
        "finish_reason": end.finish_reason,
        "prompt_tokens": end.usage.prompt_tokens,
        "reasoning_tokens": end.usage.reasoning_tokens,
        "answer_tokens": end.usage.answer_tokens,
        "cached_tokens": end.usage.cached_tokens,
        "finished_at": now,
    }
    if not fenced(fields | ended):
        return False
    [message] = _message(claimed.message_id)
    reasoning, content = message.followed_by(end.reasoning, end.content)
    text = {"reasoning": reasoning, "reasoning_words": count_words(reasoning), "content": content}
    _write_text(claimed.message_id, text)
    Chunk.objects.filter(generation=claimed.generation_id).delete()
    _date(claimed.conversation_id, {"updated_at": now})
    return True
