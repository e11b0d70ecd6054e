"""Delete what is older than its retention period. Deletions are recorded; nothing under a legal hold is deleted."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from conversations.models import Conversation, LegalHold, Message, User
from conversations.review import audit
from conversations.review.models import AuditAction, AuditEntry

BATCH = 50  # conversations that are deleted in one transaction


def expired_reasoning() -> QuerySet[Message]:
    """Return messages with reasoning in conversations last changed more than `RETAIN_REASONING_DAYS` ago."""
    expired = _older_than(settings.RETAIN_REASONING_DAYS)
    return Message.objects.exclude(reasoning="").filter(conversation__in=expired).order_by("pk")


def expired_conversations() -> QuerySet[Conversation]:
    """Return conversations last changed more than `RETAIN_CONVERSATIONS_DAYS` ago."""
    return _older_than(settings.RETAIN_CONVERSATIONS_DAYS).order_by("pk")


def expired_accounts() -> QuerySet[User]:
    """Return deactivated accounts that nobody has used for `RETAIN_DEACTIVATED_DAYS`."""
    if not settings.RETAIN_DEACTIVATED_DAYS:
        return User.objects.none()
    before = timezone.now() - timedelta(days=settings.RETAIN_DEACTIVATED_DAYS)
    holds = LegalHold.objects.in_force()
    return (
        User.objects.filter(is_active=False, date_joined__lt=before)
        .exclude(last_login__gte=before)
        .exclude(pk__in=holds.exclude(user=None).values("user"))
        .exclude(conversations__in=holds.exclude(conversation=None).values("conversation"))
        .exclude(conversations__in=Conversation.objects.live())
        .order_by("pk")
    )


def expired_audit_entries() -> int:
    """Return the number of audit entries that `RETAIN_AUDIT_DAYS` allows to delete."""
    if not settings.RETAIN_AUDIT_DAYS:
        return 0
    return AuditEntry.objects.filter(number__lte=audit.last_expired(_audit_cutoff())).count()


def prune() -> Iterator[str]:
    """Delete everything that has expired; yield a sentence for each kind. Each transaction checks legal holds again."""
    yield f"Deleted the reasoning of {_delete_reasoning()} messages."
    yield f"Deleted {_delete_conversations(expired_conversations())} conversations."
    accounts = 0
    for user in expired_accounts().iterator():
        _delete_conversations(user.conversations.deletable())
        with transaction.atomic():
            if user.conversations.exists() or not expired_accounts().filter(pk=user.pk).exists():
                continue  # a legal hold was placed in the meantime
            audit.record(audit.System(), AuditAction.PRUNED, user=user.pk)
            LegalHold.objects.filter(user=user).delete()  # lifted ones protect the row too
            user.delete()
        accounts += 1
    yield f"Deleted {accounts} deactivated accounts."
    if settings.RETAIN_AUDIT_DAYS:
        yield f"Deleted {audit.trim(_audit_cutoff())} audit entries."


def _audit_cutoff() -> datetime:
    return timezone.now() - timedelta(days=settings.RETAIN_AUDIT_DAYS)


def _older_than(days: int) -> QuerySet[Conversation]:
    """Return deletable conversations last changed more than so many days ago; none for 0 days."""
    if not days:
        return Conversation.objects.none()
    return Conversation.objects.deletable().filter(updated_at__lt=timezone.now() - timedelta(days=days))


def _delete_reasoning() -> int:
    deleted = 0
    expired = expired_reasoning().values_list("conversation", flat=True).distinct().order_by("conversation")
    while ids := list(expired[:BATCH]):
        with transaction.atomic():
            batch = list(_older_than(settings.RETAIN_REASONING_DAYS).filter(pk__in=ids))
            if not batch:
                break
            audit.record(audit.System(), AuditAction.PRUNED, conversations=batch, reasoning_only=1)
            messages = Message.objects.filter(conversation__in=batch).exclude(reasoning="")
            deleted += messages.update(reasoning="", reasoning_words=0)
    return deleted


def _delete_conversations(expired: QuerySet[Conversation]) -> int:
    deleted = 0
    while ids := list(expired.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            batch = list(expired.filter(pk__in=ids))
            if not batch:
                break
            audit.record(audit.System(), AuditAction.PRUNED, conversations=batch)
            LegalHold.objects.filter(conversation__in=batch).delete()  # lifted ones protect the row too
            Conversation.objects.filter(pk__in=[conversation.pk for conversation in batch]).delete()
        deleted += len(batch)
    return deleted
