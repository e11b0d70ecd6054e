"""The writes of a worker: claims, the commit once a second, results, and the recovery of orphans.

Each statement is conditional on `worker`, `attempt` and a running status. This is the fence: a worker that was declared
dead no longer matches its rows, and abandons them. All functions are synchronous and run in threads.
"""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Self

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from conversations.inference.chunks import Usage
from conversations.models import Chunk, Conversation, Generation, Kind, Message, Status, Worker
from conversations.models.generation import RUNNING, GenerationQuerySet
from conversations.models.prepared import prepared, prepared_update
from conversations.models.usage import add_usage
from conversations.models.words import count_words

SERVER_RESTARTED = "The server restarted"
DATABASE_UNAVAILABLE = "The database was unavailable"


class Stop(StrEnum):
    """Why a generation is to end as stopped: the sentence that is stored with it, if it needs one."""

    REQUESTED = ""
    DEACTIVATED = "Stopped because the account was deactivated."


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run a generation."""

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
    """What a running generation has to write since the last commit."""

    generation_id: int
    attempt: int
    sequence: int  # of the first chunk
    chunks: Sequence[tuple[Kind, str]]
    relabels: bool = False  # chunks that were committed earlier are reasoning
    fields: dict[str, object] = field(default_factory=dict)  # changed columns of the generation


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a generation, with all of its text."""

    status: Status
    reasoning: str
    content: str
    error: str = ""
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)


def claim(worker_id: int, generation_id: int) -> Claim | None:
    """Claim a queued generation.

    Return None if it is no longer queued or not the next one, or if its owner has no free slot or is deactivated.
    """
    found = _queued(generation_id)
    if not found:
        return None
    [(attempt, owner, message, conversation)] = found
    used = dict(_slots(owner))
    if conversation in used:
        return None
    for slot in sorted(set(range(settings.USER_CONCURRENCY)) - set(used.values())):
        try:
            claimed = _claim(generation_id, attempt, worker_id, attempt + 1, slot, timezone.now())
        except IntegrityError:
            continue  # a concurrent claim has taken this slot, or runs in this conversation
        return Claim(generation_id, attempt + 1, message, conversation, owner) if claimed else None
    return None


@prepared
def _queued(generation: Any) -> QuerySet[Any, Any]:
    queued = Generation.objects.filter(pk=generation, status=Status.QUEUED, owner__is_active=True)
    return queued.values_list("attempt", "owner", "message", "conversation")


@prepared_update
def _claim(
    generation: Any, attempt: Any, worker: Any, next_attempt: Any, slot: Any, now: Any
) -> tuple[QuerySet[Any], dict[str, Any]]:
    ahead = Generation.objects.filter(conversation=OuterRef("conversation"), status=Status.QUEUED, pk__lt=generation)
    queued = Generation.objects.filter(pk=generation, status=Status.QUEUED, attempt=attempt).exclude(Exists(ahead))
    claimed = {"status": Status.THINKING, "worker": worker, "attempt": next_attempt, "slot": slot, "started_at": now}
    return queued, claimed


@prepared
def _slots(owner: Any) -> QuerySet[Any, Any]:
    return Generation.objects.running().filter(owner=owner).values_list("conversation", "slot")


@prepared
def _message(pk: Any) -> QuerySet[Any]:
    return Message.objects.filter(pk=pk)


def commit(worker_id: int, progress: Sequence[Progress]) -> dict[int, Stop | None] | None:
    """Write the progress of all running generations in one transaction, with the worker's heartbeat.

    Return by generation id, for those that this worker still owns, whether and why they must stop; None if the worker
    itself was declared dead and must register again.
    """
    with transaction.atomic():
        if not Worker.objects.filter(pk=worker_id).update(beat=F("beat") + 1):
            return None
        stops = _lock_owned(worker_id, {p.generation_id: p.attempt for p in progress})
        owned = [p for p in progress if p.generation_id in stops]
        for p in owned:
            if p.relabels:
                Chunk.objects.filter(generation=p.generation_id).update(kind=Kind.REASONING)
            if p.fields:
                _update_generation(p.generation_id, p.fields)
        Chunk.objects.bulk_create(
            (
                Chunk(
                    generation_id=p.generation_id,
                    attempt=p.attempt,
                    sequence=p.sequence + number,
                    kind=kind,
                    text=text,
                )
                for p in owned
                for number, (kind, text) in enumerate(p.chunks)
            ),
            # A commit is repeated if the connection was lost before the database confirmed it.
            ignore_conflicts=True,
        )
    return stops


def finish(worker_id: int, claimed: Claim, result: Result, fields: dict[str, object]) -> bool:
    """Store the result of a generation in one transaction; False if this worker no longer owns it.

    `fields` are further columns of the generation that changed.
    """
    with transaction.atomic():
        update = partial(_finish_owned, worker_id, claimed.generation_id, claimed.attempt)
        return _store_result(update, claimed, result, fields)


def release(worker_id: int, claimed: Claim) -> bool:
    """Requeue a generation that has no text yet; False if this worker no longer owns it."""
    owned = Generation.objects.running().filter(pk=claimed.generation_id, worker=worker_id, attempt=claimed.attempt)
    return bool(_requeue(owned))


def orphaned_claims(worker_id: int, known: Collection[int]) -> dict[int, Claim]:
    """Return, by id, the generations claimed by this worker that are not in `known`.

    The response of the database to such a claim was lost.
    """
    unknown = {pk for (pk,) in _claimed_ids(worker_id)} - set(known)
    orphaned = Generation.objects.running().filter(worker=worker_id, pk__in=unknown) if unknown else ()
    return {generation.pk: Claim.of(generation) for generation in orphaned}


def recover_orphans(dead: list[int]) -> list[tuple[int, uuid.UUID]]:
    """Finish or requeue the running generations of the workers `dead`, and of workers that no longer have a row.

    A generation without text is requeued after its first attempt; any other is interrupted, or stopped if that was
    requested. Return the ids of owners and conversations.
    """
    recovered = []
    for (pk,) in _orphan_ids(dead):
        with transaction.atomic():
            generation = _orphans(dead).select_for_update(of=("self",)).filter(pk=pk).first()
            if generation is None:
                continue
            text = generation.committed_text()
            if not any(text) and generation.attempt < 2 and not generation.stop_requested:
                _requeue(Generation.objects.filter(pk=pk))
            else:
                characters = sum(map(len, generation.message.joined_with(*text)))
                result = (
                    Result(Status.STOPPED, *text)
                    if generation.stop_requested
                    else Result(Status.INTERRUPTED, *text, interruption_notice(SERVER_RESTARTED, characters))
                )
                _store_result(partial(_update_generation, pk), Claim.of(generation), result, {})
            recovered.append((generation.owner_id, generation.conversation_id))
    Worker.objects.filter(pk__in=dead).delete()
    return recovered


def stop_queued_of_deactivated() -> None:
    """Stop the queued generations of deactivated accounts. Nobody has to be told: their sockets are closed."""
    if queued := [pk for (pk,) in _queued_of_deactivated()]:
        ended = {"status": Status.STOPPED, "error": Stop.DEACTIVATED, "finished_at": timezone.now()}
        Generation.objects.filter(pk__in=queued, status=Status.QUEUED, owner__is_active=False).update(**ended)


@prepared
def _queued_of_deactivated() -> QuerySet[Any, Any]:
    return Generation.objects.filter(status=Status.QUEUED, owner__is_active=False).values_list("pk")


@prepared
def _claimed_ids(worker: Any) -> QuerySet[Any, Any]:
    return Generation.objects.running().filter(worker=worker).values_list("pk")


@prepared
def _orphan_ids(dead: Any) -> QuerySet[Any, Any]:
    return _orphans(dead).values_list("pk")


def _orphans(dead: Any) -> GenerationQuerySet:
    return Generation.objects.running().filter(Q(worker=None) | Q(worker__in=dead))


def _requeue(generations: GenerationQuerySet) -> int:
    return generations.update(status=Status.QUEUED, worker=None, slot=None, started_at=None)


def interruption_notice(cause: str, characters: int) -> str:
    """Return the sentence for an answer that the site interrupted just now, with `characters` of text."""
    time = timezone.localtime().strftime("%H:%M %Z")
    saved = f"{characters:,} characters were saved" if characters else "No text had arrived yet"
    return f"{cause} at {time}. {saved}."


def _lock_owned(worker_id: int, attempts: dict[int, int]) -> dict[int, Stop | None]:
    """Lock the generations that this worker still owns; return by id whether and why they must stop.

    PostgreSQL locks the rows until the transaction ends; on SQLite the IMMEDIATE transaction locks the database.
    """
    rows = (
        Generation.objects.select_for_update(of=("self",))
        .filter(pk__in=attempts, worker=worker_id, status__in=RUNNING)
        .order_by("pk")
        .values_list("pk", "attempt", "stop_requested", "owner__is_active")
    )
    return {
        pk: Stop.REQUESTED if stop_requested else None if is_active else Stop.DEACTIVATED
        for pk, attempt, stop_requested, is_active in rows
        if attempts[pk] == attempt
    }


@prepared_update
def _update_generation(generation: Any, columns: Any) -> tuple[QuerySet[Any], dict[str, Any]]:
    return Generation.objects.filter(pk=generation), columns


@prepared_update
def _finish_owned(worker: Any, generation: Any, attempt: Any, columns: Any) -> tuple[QuerySet[Any], dict[str, Any]]:
    return Generation.objects.running().filter(pk=generation, worker=worker, attempt=attempt), columns


@prepared_update
def _update_message(message: Any, columns: Any) -> tuple[QuerySet[Any], dict[str, Any]]:
    return Message.objects.filter(pk=message), columns


@prepared_update
def _update_conversation(conversation: Any, columns: Any) -> tuple[QuerySet[Any], dict[str, Any]]:
    return Conversation.objects.filter(pk=conversation), columns


def _store_result(
    update: Callable[[dict[str, object]], int], claimed: Claim, result: Result, fields: dict[str, object]
) -> bool:
    """Write a result by `update` of the generation, and its text; False if `update` matches no row."""
    now = timezone.now()
    columns = {
        "status": result.status,
        "slot": None,
        "error": result.error,
        "finish_reason": result.finish_reason,
        "prompt_tokens": result.usage.prompt_tokens,
        "reasoning_tokens": result.usage.reasoning_tokens,
        "answer_tokens": result.usage.answer_tokens,
        "cached_tokens": result.usage.cached_tokens,
        "finished_at": now,
    }
    if not update(fields | columns):
        return False
    [message] = _message(claimed.message_id)
    reasoning, content = message.joined_with(result.reasoning, result.content)
    text = {"reasoning": reasoning, "reasoning_words": count_words(reasoning), "content": content}
    _update_message(claimed.message_id, text)
    Chunk.objects.filter(generation=claimed.generation_id).delete()
    _update_conversation(claimed.conversation_id, {"updated_at": now})
    if any((result.usage.prompt_tokens, result.usage.reasoning_tokens, result.usage.answer_tokens)):
        add_usage(claimed.generation_id)
    return True
