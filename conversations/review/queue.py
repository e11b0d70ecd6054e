"""The queue: how conversations reach it, and how reviewers take and resolve them, never two the same."""

import hashlib
import hmac
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from conversations.models import Case, Feedback, Generation, Item, Message, Rating, Rule, User
from conversations.review import audit, cases

REPORTED = "Reported by its owner"
SHARED = "Feedback shared by its owner"
LATE = timedelta(minutes=10)  # by which a worker's clock, or the commit of an end, may lag behind
BATCH = 1000  # answers that one look at the queue goes through for each rule


def give_feedback(*, message: Message, rating: str, comment: str, shared: bool) -> Feedback:
    """Keep what the owner says of an answer, in place of what they said before; shared, it waits for a reviewer.

    A report is always shared: that is what it is for.
    """
    shared = shared or rating == Rating.REPORT
    with transaction.atomic():
        feedback, _ = Feedback.objects.update_or_create(
            message=message,
            defaults={
                "conversation": message.conversation,
                "rating": rating,
                "comment": comment,
                "shared": shared,
            },
        )
        if shared:
            why = REPORTED if rating == Rating.REPORT else SHARED
            Item.objects.bulk_create([_item(message, why)], ignore_conflicts=True)
    return feedback


def rate(*, message: Message, rating: str) -> Feedback | None:
    """Keep a rating by itself, beside what the owner has said already; the same once more takes all of it back.

    What is taken back waits for no reviewer any more, unless one has it. A report stays.
    """
    given = Feedback.objects.filter(message=message).first()
    if given is None:
        return give_feedback(message=message, rating=rating, comment="", shared=False)
    if given.rating != rating:
        return give_feedback(message=message, rating=rating, comment=given.comment, shared=given.shared)
    with transaction.atomic():
        given.delete()
        Item.objects.free().filter(message=message, rule=None, why=SHARED).delete()
    return None


def fill() -> None:
    """Bring what the rules look for into the queue, as far as it ended since they last looked."""
    for rule in Rule.objects.filter(active=True):
        _apply(rule)


def _apply(rule: Rule) -> None:
    until = rule.checked_until
    new = Generation.objects.filter(finished_at__gt=until).order_by("finished_at").values_list("finished_at", flat=True)
    horizon = max(new[:BATCH], default=until)
    ended = Generation.objects.filter(finished_at__gt=until - LATE, finished_at__lte=horizon)
    ended = ended.select_related("message__parent").iterator()
    found = [_item(generation.message, rule.name, rule) for generation in ended if _matches(rule, generation)]
    with transaction.atomic():
        Item.objects.bulk_create(found, ignore_conflicts=True)  # it may have been found before
        Rule.objects.filter(pk=rule.pk).update(checked_until=horizon)


def _matches(rule: Rule, generation: Generation) -> bool:
    if rule.outcome and generation.status != rule.outcome:
        return False
    answer = generation.message
    said = f"{answer.parent.content if answer.parent else ''}\n{answer.content}".casefold()
    if rule.phrases and not any(phrase.casefold() in said for phrase in rule.phrases):
        return False
    return _drawn(rule, answer.pk)


def _drawn(rule: Rule, message: int) -> bool:
    """Draw by lot, the same for the same message however often it is asked, and not to be foreseen without the key."""
    lot = hmac.new(settings.AUDIT_KEYS[0].encode(), f"lot {rule.pk} {message}".encode(), hashlib.sha256).digest()
    return int.from_bytes(lot[:8], "big") < float(rule.percent) / 100 * 2**64


def _item(message: Message, why: str, rule: Rule | None = None) -> Item:
    return Item(conversation_id=message.conversation_id, message=message, why=why, rule=rule)


def take(*, who: audit.Who, item: Item) -> Case | None:
    """Take an item, unless somebody else works on it (then None); the item is the reason of the case that begins."""
    reviewer = who.person
    with transaction.atomic():
        release(reviewer=reviewer)
        free = Item.objects.reviewable_by(reviewer).free().filter(pk=item.pk)
        if not free.update(taken_by=reviewer, taken_at=timezone.now()):
            return None
        return cases.begin(who=who, reason=item.why, note=f"Queue item {item.pk}")


def take_next(*, who: audit.Who, after: int = 0, backwards: bool = False) -> Item | None:
    """Take the next free item after one's own, or the one before it; None at the end."""
    items = Item.objects.reviewable_by(who.person).free()
    items = items.filter(pk__lt=after).order_by("-pk") if backwards else items.filter(pk__gt=after).order_by("pk")
    return next((item for item in items[:20] if take(who=who, item=item)), None)


def release(*, reviewer: User) -> None:
    """Give back what this reviewer has taken and not resolved."""
    Item.objects.unresolved().filter(taken_by=reviewer).update(taken_by=None, taken_at=None)


def resolve(*, who: audit.Who, item: Item, verdict: str, note: str) -> bool:
    """Resolve an item that is still this reviewer's; False if its time ran out and it may be somebody else's."""
    mine = Item.objects.taken_by(who.person).filter(pk=item.pk)
    changed = mine.update(verdict=verdict, note=note, resolved_by=who.person, resolved_at=timezone.now())
    return bool(changed)
