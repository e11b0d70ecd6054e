"""What has outlived its period, and its deletion: whole, written down, and never against a legal hold."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from conversations.models import Conversation, LegalHold, Message, User
from conversations.review import audit
from conversations.review.models import AuditAction, AuditEntry

BATCH = 50


def expired_reasoning() -> QuerySet[Message]:
    """Return messages with reasoning, in conversations whose last change is older than `RETAIN_REASONING_DAYS`."""
    return (
        Message.objects.exclude(reasoning="")
        .filter(conversation__in=_settled(settings.RETAIN_REASONING_DAYS))
        .order_by("pk")
    )


def expired_conversations() -> QuerySet[Conversation]:
    """Return conversations whose last change is older than `RETAIN_CONVERSATIONS_DAYS`."""
    return _settled(settings.RETAIN_CONVERSATIONS_DAYS).order_by("pk")


def expired_accounts() -> QuerySet[User]:
    """Return deactivated accounts that nobody has used for `RETAIN_DEACTIVATED_DAYS`, with all that is theirs."""
    if not settings.RETAIN_DEACTIVATED_DAYS:
        return User.objects.none()
    before = timezone.now() - timedelta(days=settings.RETAIN_DEACTIVATED_DAYS)
    held = LegalHold.objects.in_force()
    return (
        User.objects.filter(is_active=False, date_joined__lt=before)
        .exclude(last_login__gte=before)
        .exclude(pk__in=held.exclude(user=None).values("user"))
        .exclude(conversations__in=held.exclude(conversation=None).values("conversation"))
        .exclude(conversations__in=Conversation.objects.running())
        .order_by("pk")
    )


def prune() -> Iterator[str]:
    """Delete all that has expired; yield a sentence for each kind. Holds are looked at again in each transaction."""
    yield f"Deleted the reasoning of {_forget_reasoning()} messages."
    yield f"Deleted {_delete_conversations(expired_conversations())} conversations."
    accounts = 0
    for user in expired_accounts().iterator():
        _delete_conversations(user.conversations.deletable())
        with transaction.atomic():
            if user.conversations.exists() or not expired_accounts().filter(pk=user.pk).exists():
                continue  # a hold came in between
            audit.record(audit.Actor(), AuditAction.PRUNED, user=user.pk)
            LegalHold.objects.filter(user=user).delete()  # those that were lifted
            user.delete()
        accounts += 1
    yield f"Deleted {accounts} deactivated accounts."
    if settings.RETAIN_AUDIT_DAYS:
        yield f"Deleted {audit.trim(_trail_begins())} audit entries."


def expired_rows() -> int:
    """Return how many rows of the audit trail are older than `RETAIN_AUDIT_DAYS`, from its beginning on."""
    if not settings.RETAIN_AUDIT_DAYS:
        return 0
    return AuditEntry.objects.filter(number__lte=audit.expired(_trail_begins())).count()


def _trail_begins() -> datetime:
    return timezone.now() - timedelta(days=settings.RETAIN_AUDIT_DAYS)


def _settled(days: int) -> QuerySet[Conversation]:
    if not days:
        return Conversation.objects.none()
    return Conversation.objects.deletable().filter(updated_at__lt=timezone.now() - timedelta(days=days))


def _forget_reasoning() -> int:
    forgotten = 0
    while ids := list(
        expired_reasoning().values_list("conversation", flat=True).distinct().order_by("conversation")[:BATCH]
    ):
        with transaction.atomic():
            conversations = list(_settled(settings.RETAIN_REASONING_DAYS).filter(pk__in=ids))
            if not conversations:
                break
            audit.record(audit.Actor(), AuditAction.PRUNED, conversations=conversations, reasoning_only=1)
            expired = Message.objects.filter(conversation__in=conversations).exclude(reasoning="")
            forgotten += expired.update(reasoning="", reasoning_words=0)
    return forgotten


def _delete_conversations(expired: QuerySet[Conversation]) -> int:
    deleted = 0
    while ids := list(expired.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            batch = list(expired.filter(pk__in=ids))
            if not batch:
                break
            audit.record(audit.Actor(), AuditAction.PRUNED, conversations=batch)
            LegalHold.objects.filter(conversation__in=batch).delete()  # those that were lifted
            Conversation.objects.filter(pk__in=[conversation.pk for conversation in batch]).delete()
        deleted += len(batch)
    return deleted
