"""The writes of a worker to the generations that it owns: claims, the commit once a second, and results.

Each statement is conditional on `worker`, `attempt` and a running status. This is the fence: a worker that was declared
dead no longer matches its rows (see `recovery`). All functions are synchronous and run in threads.
"""

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Self

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from chatsite.outages import describe, is_outage
from conversations.inference.chunks import Usage
from conversations.inference.sanitise import storable
from conversations.models import Chunk, Conversation, Generation, Kind, Message, Status, Worker
from conversations.models.generation import RUNNING
from conversations.models.prepared import prepared, prepared_update
from conversations.models.usage import add_usage
from conversations.rendering import outlines
from conversations.rendering.steps import Step

logger = logging.getLogger(__name__)

NOT_STORED = "This answer could not be saved as the model sent it. What could be saved is shown. Try again."


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
    model: str = ""  # the id of the one to ask; "" for the default
    queued_at: datetime | None = None

    @classmethod
    def of(cls, generation: Generation) -> Self:
        return cls(
            generation.pk,
            generation.attempt,
            generation.message_id,
            generation.conversation_id,
            generation.owner_id,
            generation.model,
            generation.created_at,
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
    times: outlines.Times = ()  # when the message's reasoning had which length, if that is known
    steps: Sequence[Step] = ()  # of the message's reasoning, if they are known


def claim(worker_id: int, generation_id: int) -> Claim | None:
    """Claim a queued generation.

    Return None if it is no longer queued or not the next one, if this process does not know its model, or if its owner
    has no free slot or is deactivated.
    """
    found = _queued(generation_id)
    if not found:
        return None
    [(attempt, owner, message, conversation, model, queued_at)] = found
    if model and model not in settings.MODELS:
        return None
    used = dict(_slots(owner))
    if conversation in used:
        return None
    for slot in sorted(set(range(settings.USER_CONCURRENCY)) - set(used.values())):
        try:
            claimed = _claim(generation_id, attempt, worker_id, attempt + 1, slot, timezone.now())
        except IntegrityError:
            continue  # a concurrent claim has taken this slot, or runs in this conversation
        if not claimed:
            return None
        return Claim(generation_id, attempt + 1, message, conversation, owner, model, queued_at)
    return None


@prepared
def _queued(generation: Any) -> QuerySet[Any, Any]:
    queued = Generation.objects.filter(pk=generation, status=Status.QUEUED, owner__is_active=True)
    return queued.values_list("attempt", "owner", "message", "conversation", "model", "created_at")


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
                update_generation(p.generation_id, p.fields)
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
            update_conflicts=True,
            unique_fields=["generation", "attempt", "sequence"],
            update_fields=["kind"],
        )
    return stops


def finish(worker_id: int, claimed: Claim, result: Result, fields: dict[str, object]) -> bool:
    """Store the result of a generation in one transaction; False if this worker no longer owns it.

    `fields` are further columns of the generation that changed.
    """
    update = partial(_finish_owned, worker_id, claimed.generation_id, claimed.attempt)
    with transaction.atomic():
        return store_result(update, claimed, result, fields)


def fail(worker_id: int, claimed: Claim, result: Result) -> bool:
    """End a generation whose result cannot be stored as failed; False if this worker no longer owns it.

    Store its text without what no database can store, its tokens, and nothing else that came from the endpoint. If that
    fails too, no text is stored.
    """
    update = partial(_finish_owned, worker_id, claimed.generation_id, claimed.attempt)
    texts = storable(result.reasoning), storable(result.content)
    return store_or_fail(update, claimed, Result(Status.FAILED, *texts, NOT_STORED, usage=result.usage))


def store_or_fail(update: Callable[[dict[str, object]], int], claimed: Claim, result: Result) -> bool:
    """Store a result; if its text cannot be stored, and the database is available, that the generation failed."""
    try:
        with transaction.atomic():
            return store_result(update, claimed, result, {})
    except Exception as error:  # text that cannot be encoded is not a DatabaseError
        if is_outage(error):
            raise
        logger.error("text of generation %s not stored: %s", claimed.generation_id, describe(error))
        now = timezone.now()
        ended = {"status": Status.FAILED, "slot": None, "error": NOT_STORED, "finished_at": now}
        with transaction.atomic():
            if not update(ended | _token_columns(result.usage)):
                return False
            add_usage(claimed.generation_id, now, result.usage.counts)
        return True


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
def update_generation(generation: Any, columns: Any) -> tuple[QuerySet[Any], dict[str, Any]]:
    return Generation.objects.filter(pk=generation), columns


@prepared_update
def _finish_owned(worker: Any, generation: Any, attempt: Any, columns: Any) -> tuple[QuerySet[Any], dict[str, Any]]:
    return Generation.objects.running().filter(pk=generation, worker=worker, attempt=attempt), columns


@prepared_update
def update_message(message: Any, columns: Any) -> tuple[QuerySet[Any], dict[str, Any]]:
    return Message.objects.filter(pk=message), columns


def lock_conversation(conversation_id: uuid.UUID) -> None:
    """Lock a conversation, before its generation as actions do: otherwise each could wait for the other."""
    list(Conversation.with_deleted.select_for_update(no_key=True).filter(pk=conversation_id).values_list("pk"))


@prepared_update
def _update_conversation(conversation: Any, columns: Any) -> tuple[QuerySet[Any], dict[str, Any]]:
    return Conversation.with_deleted.filter(pk=conversation), columns


def store_result(
    update: Callable[[dict[str, object]], int], claimed: Claim, result: Result, fields: dict[str, object]
) -> bool:
    """Write a result by `update` of the generation, and its text; False if `update` matches no row."""
    lock_conversation(claimed.conversation_id)
    now = timezone.now()
    columns = {
        "status": result.status,
        "slot": None,
        "error": result.error,
        "finish_reason": result.finish_reason,
        "finished_at": now,
    }
    if not update(fields | columns | _token_columns(result.usage)):
        return False
    # These before its message: see `StoredText`.
    _update_conversation(claimed.conversation_id, {"updated_at": now})
    add_usage(claimed.generation_id, now, result.usage.counts)
    [message] = _message(claimed.message_id)
    reasoning, content = message.joined_with(result.reasoning, result.content)
    outline = outlines.build(reasoning, result.times and _all_times(message, result.times), result.steps)
    update_message(
        claimed.message_id,
        {
            "reasoning": reasoning,
            "reasoning_words": outline.words if outline else 0,
            "outline": outlines.stored(outline),
            "content": content,
        },
    )
    Chunk.objects.filter(generation=claimed.generation_id).delete()
    return True


def _token_columns(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "answer_tokens": usage.answer_tokens,
        "cached_tokens": usage.cached_tokens,
        "tokens_estimated": usage.is_estimate,
    }


def _all_times(message: Message, times: outlines.Times) -> outlines.Times:
    """Return `times` after those of the reasoning that was continued; nothing if those are not known."""
    if not message.reasoning:
        return times
    earlier = outlines.load(message)
    return [*earlier.times, *times] if earlier and earlier.times else ()
