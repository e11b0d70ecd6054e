"""The review queue: what gets into it, and how reviewers claim and resolve its items, each at most one at a time."""

import hashlib
import hmac
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from conversations.models import Feedback, Generation, Message, Rating, User
from conversations.review import audit, cases
from conversations.review.models import Case, QueueItem, Rule

REPORTED = "Reported by its owner"
SHARED = "Feedback shared by its owner"
LATE = timedelta(minutes=10)  # how far a worker's clock, or the commit of an end, may lag behind
BATCH = 1000  # answers that one call of `fill` checks for each rule


FEEDBACK = ("message", "conversation", "rating", "created_at")


def fill() -> None:
    """Bring the queue up to date with shared feedback and with answers that ended since the rules were last applied."""
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
                message_id=message,
                conversation_id=conversation,
                why=REPORTED if rating == Rating.REPORT else SHARED,
                created_at=created_at,
            )
            for message, conversation, rating, created_at in new.values_list(*FEEDBACK)[:BATCH]
        ],
        ignore_conflicts=True,  # another reviewer's request may do the same
    )
    shared = Feedback.objects.filter(message=OuterRef("message"), shared=True)
    QueueItem.objects.unassigned().filter(~Exists(shared), rule=None, why=SHARED).delete()


def _apply(rule: Rule) -> None:
    until = rule.checked_until
    new = Generation.objects.filter(finished_at__gt=until).order_by("finished_at").values_list("finished_at", flat=True)
    horizon = max(new[:BATCH], default=until)
    ended = Generation.objects.filter(finished_at__gt=until - LATE, finished_at__lte=horizon)
    ended = ended.select_related("message__parent").iterator()
    found = [_item(generation.message, rule.name, rule) for generation in ended if _matches(rule, generation)]
    with transaction.atomic():
        QueueItem.objects.bulk_create(found, ignore_conflicts=True)  # it may have been found before
        Rule.objects.filter(pk=rule.pk).update(checked_until=horizon)


def _matches(rule: Rule, generation: Generation) -> bool:
    if rule.outcome and generation.status != rule.outcome:
        return False
    answer = generation.message
    said = f"{answer.parent.content if answer.parent else ''}\n{answer.content}".casefold()
    if rule.phrases and not any(phrase.casefold() in said for phrase in rule.phrases):
        return False
    return is_sampled(rule, answer.pk)


def is_sampled(rule: Rule, message: int) -> bool:
    """Return whether a message is in the rule's sample: stable for each message, unpredictable without the key."""
    lot = hmac.new(settings.AUDIT_KEYS[0].encode(), f"lot {rule.pk} {message}".encode(), hashlib.sha256).digest()
    return int.from_bytes(lot[:8], "big") < float(rule.percent) / 100 * 2**64


def _item(message: Message, why: str, rule: Rule | None = None) -> QueueItem:
    return QueueItem(conversation_id=message.conversation_id, message=message, why=why, rule=rule)


def claim(*, actor: audit.Actor, item: QueueItem) -> Case | None:
    """Claim an item and open a case for it; return None if another reviewer works on it."""
    reviewer = actor.user
    with transaction.atomic():
        release(reviewer=reviewer)
        unassigned = QueueItem.objects.reviewable_by(reviewer).unassigned().filter(pk=item.pk)
        if not unassigned.update(taken_by=reviewer, taken_at=timezone.now()):
            return None
        return cases.begin(actor=actor, reason=item.why, note=f"Queue item {item.pk}")


def claim_next(*, actor: audit.Actor, after: int = 0, backwards: bool = False) -> QueueItem | None:
    """Claim the next unassigned item after the one with the id `after`, or before it; return None if there is none."""
    items = QueueItem.objects.reviewable_by(actor.user).unassigned()
    items = items.filter(pk__lt=after).order_by("-pk") if backwards else items.filter(pk__gt=after).order_by("pk")
    return next((item for item in items[:20] if claim(actor=actor, item=item)), None)


def release(*, reviewer: User) -> None:
    """Release what this reviewer has claimed and not resolved."""
    QueueItem.objects.unresolved().filter(taken_by=reviewer).update(taken_by=None, taken_at=None)


def resolve(*, actor: audit.Actor, item: QueueItem, verdict: str, note: str) -> bool:
    """Resolve an item that this reviewer has claimed; return False if the claim expired."""
    mine = QueueItem.objects.claimed_by(actor.user).filter(pk=item.pk)
    changed = mine.update(verdict=verdict, note=note, resolved_by=actor.user, resolved_at=timezone.now())
    return bool(changed)
