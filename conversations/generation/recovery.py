"""What happens to generations whose worker does not finish them: asked again, ended with their text, or resumed.

All functions are synchronous and run in threads.
"""

import uuid
from collections.abc import Collection
from datetime import datetime
from functools import partial
from itertools import count, islice
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Concat
from django.utils import timezone

from conversations.generation.commit import (
    Claim,
    Result,
    Stop,
    lock_conversation,
    store_or_fail,
    update_generation,
    update_message,
)
from conversations.inference.allowance import estimate_prompt, usage_at_end
from conversations.models import Chunk, Conversation, Generation, Kind, Status, Worker
from conversations.models.generation import LIVE
from conversations.models.prepared import prepared
from conversations.models.usage import add_usage

# How often a generation is claimed at most: each time, the endpoint is asked, which may cost money.
MAX_ATTEMPTS = 3
SERVER_RESTARTED = "The server restarted"
# Its process may have ended, or be cut off from the database.
SERVER_NOT_RESPONDING = "The server that was answering did not respond"
DATABASE_UNAVAILABLE = "The database was unavailable"
NOT_CLAIMED = "Something went wrong on this site. Your question has been saved. Try again, or contact an administrator."
COUNTS = ("prompt_tokens", "reasoning_tokens", "answer_tokens")
SLOTS_TRIED = 5  # when a generation is resumed while others are claimed

Text = tuple[str, str]  # reasoning and answer
Ids = tuple[int, uuid.UUID]  # of an owner and a conversation


def interruption_notice(cause: str, characters: int, saved: str = "were saved") -> str:
    """Return the sentence for an answer that the site interrupted just now, with `characters` of text."""
    time = timezone.localtime().strftime("%H:%M %Z")
    text = f"{characters:,} characters {saved}" if characters else "No text had arrived yet"
    return f"{cause} at {time}. {text}."


def release(worker_id: int, claimed: Claim, cause: str, stopped: bool = False) -> bool:
    """Requeue or end a generation that this worker cannot run because of `cause`; False if it no longer owns it.

    `stopped`: someone asked to stop it, even if that could not be written.
    """
    with transaction.atomic():
        owned = Generation.objects.running().filter(worker=worker_id, attempt=claimed.attempt)
        return _recover(owned, claimed.generation_id, cause, stopped) is not None


def reject(generation_id: int) -> list[Ids]:
    """End a queued generation that cannot be claimed; return its ids, in a list."""
    generation = Generation.objects.filter(pk=generation_id)
    failed = {"status": Status.FAILED, "error": NOT_CLAIMED, "finished_at": timezone.now()}
    is_rejected = generation.filter(status=Status.QUEUED).update(**failed)
    return list(generation.values_list("owner_id", "conversation_id")) if is_rejected else []


def orphaned_claims(worker_id: int, known: Collection[int]) -> dict[int, Claim]:
    """Return, by id, the generations claimed by this worker that are not in `known`.

    The response of the database to such a claim was lost.
    """
    unknown = {pk for (pk,) in _claimed_ids(worker_id)} - set(known)
    orphaned = Generation.objects.running().filter(worker=worker_id, pk__in=unknown) if unknown else ()
    return {generation.pk: Claim.of(generation) for generation in orphaned}


def recover_orphans(dead: list[int], cause: str = SERVER_NOT_RESPONDING) -> list[Ids]:
    """Delete the workers `dead`, and requeue or end the running generations of workers that no longer have a row.

    Return the ids of those.
    """
    if dead:
        with transaction.atomic():
            # Locked first, so that one which is not dead after all cannot claim anything meanwhile.
            workers = Worker.objects.filter(pk__in=dead)
            list(workers.select_for_update())
            workers.delete()
    recovered = []
    for (pk,) in _orphan_ids():
        with transaction.atomic():
            if generation := _recover(Generation.objects.running().filter(worker=None), pk, cause):
                recovered.append((generation.owner_id, generation.conversation_id))
    return recovered


def stop_queued_of_deactivated() -> None:
    """Stop the queued generations of deactivated accounts. Nobody has to be told: their sockets are closed."""
    if queued := [pk for (pk,) in _queued_of_deactivated()]:
        ended = {"status": Status.STOPPED, "error": Stop.DEACTIVATED, "finished_at": timezone.now()}
        Generation.objects.filter(pk__in=queued, status=Status.QUEUED, owner__is_active=False).update(**ended)


def resume(worker_id: int, claimed: Claim, status: str, started_at: datetime, earlier: Text, text: Text) -> bool:
    """Take back a generation that was recovered as an orphan while its worker was cut off, with all of its text.

    Its text was joined into the message, or is in its chunks; afterwards all of it is in its chunks. `earlier` is the
    message's text before this generation, `text` what it added. False if another worker has claimed it since, or the
    conversation has continued. Raises `Worker.DoesNotExist` if this worker was declared dead too.
    """
    pk, message = claimed.generation_id, claimed.message_id
    with transaction.atomic():
        Worker.objects.select_for_update().get(pk=worker_id)
        # Actions lock the conversation before they add to it.
        if not Conversation.objects.select_for_update().filter(pk=claimed.conversation_id).exists():
            return False
        since = Generation.objects.filter(conversation=claimed.conversation_id, pk__gt=pk)
        if since.filter(Q(attempt__gt=0) | Q(message=message)).exists():
            return False
        recovered = Generation.objects.filter(_recovered(claimed) | Q(worker=worker_id, status__in=LIVE), pk=pk)
        ended = recovered.exclude(finished_at=None).select_for_update().values_list("finished_at", *COUNTS).first()
        columns = {"status": status, "worker": worker_id, "error": "", "finished_at": None} | dict.fromkeys(COUNTS)
        if not _take_slot(recovered, claimed.owner_id, columns | {"started_at": Coalesce(F("started_at"), started_at)}):
            return False
        if ended:
            add_usage(pk, ended[0], ended[1:], sign=-1)  # counted again when it ends again
        if any((*earlier, *text)):  # otherwise it has not read yet what it continues
            update_message(
                message, {"reasoning": earlier[0], "reasoning_words": None, "outline": None, "content": earlier[1]}
            )
        Chunk.objects.filter(generation=pk).delete()
        Chunk.objects.bulk_create(
            Chunk(generation_id=pk, attempt=claimed.attempt, sequence=sequence, kind=kind, text=part)
            for sequence, (kind, part) in enumerate(chunks(text))
        )
    return True


def chunks(text: Text) -> list[tuple[Kind, str]]:
    """Return the chunks that `resume` writes."""
    return [(kind, part) for kind, part in zip((Kind.REASONING, Kind.ANSWER), text, strict=True) if part]


def note_lost_text(claimed: Claim, characters: int) -> None:
    """Add to the notice of an interrupted generation how much text its worker had that cannot be saved any more."""
    lost = f" {characters:,} more arrived and were lost: the site could not save them before the conversation went on."
    interrupted = Generation.objects.filter(_recovered(claimed), pk=claimed.generation_id, status=Status.INTERRUPTED)
    interrupted.update(error=Concat("error", Value(lost)))


def _recovered(claimed: Claim) -> Q:
    """Match the generation if it was recovered as an orphan, and nobody has claimed it since."""
    ended_or_queued = Q(status__in=(*LIVE, Status.INTERRUPTED)) | Q(status=Status.STOPPED, stop_requested=True)
    return Q(worker=None, attempt=claimed.attempt) & ended_or_queued


def _take_slot(generations: QuerySet[Generation], owner_id: int, columns: dict[str, Any]) -> bool:
    """Update the generation and give it a slot, even one more than its owner has, since it never stopped running."""
    used = set(Generation.objects.running().filter(owner=owner_id).values_list("slot", flat=True))
    for slot in islice((slot for slot in count() if slot not in used), SLOTS_TRIED):
        try:
            with transaction.atomic():
                return bool(generations.update(**columns, slot=slot))
        except IntegrityError:
            continue  # a concurrent claim has taken this slot, or runs in this conversation
    return False


def _recover(generations: QuerySet[Generation], pk: int, cause: str, stopped: bool = False) -> Generation | None:
    """Requeue one of `generations`, or end it with its committed text; None if it is not one of them.

    It is requeued, which means asked again, only if no text was committed, nobody asked to stop it, and attempts are
    left.
    """
    found = generations.filter(pk=pk)
    for conversation in found.values_list("conversation", flat=True):
        lock_conversation(conversation)
    generation = found.select_for_update(of=("self",)).first()
    if generation is None:
        return None
    text = generation.committed_text()
    stopped |= generation.stop_requested
    if not any(text) and generation.attempt < MAX_ATTEMPTS and not stopped:
        queued = {"status": Status.QUEUED, "worker": None, "slot": None, "started_at": None}
        Generation.objects.filter(pk=pk).update(**queued)
        return generation
    characters = sum(map(len, generation.message.joined_with(*text)))
    status, notice = (Status.STOPPED, "") if stopped else (Status.INTERRUPTED, interruption_notice(cause, characters))
    used = usage_at_end(status, estimate_prompt(generation), *text)
    result = Result(status, *text, notice, usage=used)
    store_or_fail(partial(update_generation, pk), Claim.of(generation), result)
    return generation


@prepared
def _queued_of_deactivated() -> QuerySet[Any, Any]:
    return Generation.objects.filter(status=Status.QUEUED, owner__is_active=False).values_list("pk")


@prepared
def _claimed_ids(worker: Any) -> QuerySet[Any, Any]:
    return Generation.objects.running().filter(worker=worker).values_list("pk")


@prepared
def _orphan_ids() -> QuerySet[Any, Any]:
    return Generation.objects.running().filter(worker=None).values_list("pk")
