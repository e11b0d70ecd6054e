"""The review queue: what enters it, and how reviewers claim and resolve items. A reviewer has one claim at a time."""

import hashlib
import hmac
from datetime import timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from conversations.models import Feedback, Generation, Rating, User
from conversations.review import audit, cases
from conversations.review.models import AuditAction, Case, QueueItem, Rule

REPORTED = "Reported by its owner"
SHARED = "Feedback shared by its owner"
MAX_LAG = timedelta(minutes=10)  # between a generation's `finished_at`, by its worker's clock, and the commit
BATCH = 1000  # answers that one call of `refresh` checks for each rule
MAX_COUNTED = 1_000  # items: each page of review counts those that wait
CANDIDATES = 20  # items that `claim_next` tries, if others claim them at the same time


class Position(NamedTuple):
    """The place of an item among those that wait for a reviewer, from 1, and how many these are."""

    number: int
    total: int


def waiting(reviewer: User) -> int:
    """Return how many items wait for this reviewer; `MAX_COUNTED` at most."""
    return QueueItem.objects.waiting_for(reviewer)[:MAX_COUNTED].count()


def refresh() -> None:
    """Update the queue from shared feedback and from answers that have finished since the rules were last applied."""
    QueueItem.objects.unresolved().filter(Q(conversation=None) | Q(message=None)).delete()
    _sync_feedback()
    for rule in Rule.objects.filter(active=True):
        _apply(rule)


def _sync_feedback() -> None:
    """Add an item for shared feedback; remove unassigned items whose feedback is no longer shared. Reports stay."""
    handled = QueueItem.objects.filter(message=OuterRef("message"), rule=None).filter(
        Q(resolved_at=None) | Q(resolved_at__gte=OuterRef("created_at"))
    )
    new = Feedback.objects.filter(~Exists(handled), shared=True).order_by("created_at")
    QueueItem.objects.bulk_create(
        [
            QueueItem(
                message_id=feedback.message_id,
                conversation_id=feedback.conversation_id,
                why=REPORTED if feedback.rating == Rating.REPORT else SHARED,
                created_at=feedback.created_at,
            )
            for feedback in new.defer("comment")[:BATCH]
        ],
        ignore_conflicts=True,  # another reviewer's request may add the same items
    )
    shared = Feedback.objects.filter(message=OuterRef("message"), shared=True)
    QueueItem.objects.unassigned().filter(~Exists(shared), rule=None, why=SHARED).delete()


def _apply(rule: Rule) -> None:
    """Add an item for each answer that matches the rule, among the next `BATCH` that have finished."""
    start = rule.checked_until
    times = Generation.objects.filter(finished_at__gt=start).order_by("finished_at")
    end = max(filter(None, times.values_list("finished_at", flat=True)[:BATCH]), default=start)
    finished = Generation.objects.filter(finished_at__gt=start - MAX_LAG, finished_at__lte=end)
    items = [
        QueueItem(
            conversation_id=generation.conversation_id, message_id=generation.message_id, why=rule.name, rule=rule
        )
        for generation in finished.select_related("message__parent").iterator()
        if _matches(rule, generation)
    ]
    with transaction.atomic():
        QueueItem.objects.bulk_create(items, ignore_conflicts=True)  # an earlier call may have added them
        Rule.objects.filter(pk=rule.pk).update(checked_until=end)


def _matches(rule: Rule, generation: Generation) -> bool:
    if rule.outcome and generation.status != rule.outcome:
        return False
    answer = generation.message
    text = f"{answer.parent.content if answer.parent else ''}\n{answer.content}".casefold()
    if rule.phrases and not any(phrase.casefold() in text for phrase in rule.phrases):
        return False
    return is_sampled(rule, answer.pk)


def is_sampled(rule: Rule, message_id: int) -> bool:
    """Return whether a message is in the rule's sample: always the same, but unpredictable without the audit key."""
    # "lot" stays as it is: another text would draw another sample.
    digest = hmac.new(settings.AUDIT_KEYS[0].encode(), f"lot {rule.pk} {message_id}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") < float(rule.percent) / 100 * 2**64


def claim(*, actor: audit.Actor, item: QueueItem) -> Case | None:
    """Claim an item and open a case for it; return None if another reviewer has claimed or resolved it."""
    with transaction.atomic():
        release(reviewer=actor.user)
        unassigned = QueueItem.objects.reviewable_by(actor.user).unassigned().filter(pk=item.pk)
        if not unassigned.update(taken_by=actor.user, taken_at=timezone.now()):
            return None
        return cases.open_case(actor=actor, reason=item.why, note=f"Queue item {item.pk}")


def position(reviewer: User, item: QueueItem) -> Position:
    """Return the position of an item that this reviewer has claimed; both numbers are `MAX_COUNTED` at most."""
    first = QueueItem.objects.waiting_for(reviewer)[:MAX_COUNTED]
    return Position(**first.aggregate(number=Count("pk", filter=Q(pk__lte=item.pk)), total=Count("pk")))


def claim_next(*, actor: audit.Actor, after: int = 0, backwards: bool = False) -> QueueItem | None:
    """Claim the next unassigned item after the item with the id `after`, or before it; return None without one."""
    items = QueueItem.objects.reviewable_by(actor.user).unassigned()
    items = items.filter(pk__lt=after).order_by("-pk") if backwards else items.filter(pk__gt=after).order_by("pk")
    return next((item for item in items[:CANDIDATES] if claim(actor=actor, item=item)), None)


def release(*, reviewer: User) -> None:
    """Release the item that this reviewer has claimed and not resolved."""
    QueueItem.objects.unresolved().filter(taken_by=reviewer).update(taken_by=None, taken_at=None)


def resolve(*, actor: audit.Actor, item: QueueItem, verdict: str, note: str) -> bool:
    """Resolve an item that this reviewer has claimed, and record the verdict; return False if the claim has expired."""
    conversations = [item.conversation] if item.conversation else []
    about: dict[str, Any] = {"item": item.pk, "why": item.why, "verdict": verdict, "comment": note}
    claimed = QueueItem.objects.claimed_by(actor.user).filter(pk=item.pk)
    with transaction.atomic():
        if not claimed.update(verdict=verdict, note=note, resolved_by=actor.user, resolved_at=timezone.now()):
            return False
        audit.record(actor, AuditAction.VERDICT, conversations=conversations, message_id=item.message_id, **about)
    return True
