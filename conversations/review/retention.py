"""Delete what is older than its retention period. Deletions are recorded; nothing under a legal hold is deleted."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from conversations.models import Conversation, Instructions, LegalHold, Message, Share, User
from conversations.models.conversation import ConversationQuerySet
from conversations.models.usage import keep_for_today
from conversations.review import audit
from conversations.review.models import AuditAction, AuditEntry, QueueItem

BATCH = 50  # conversations that are deleted in one transaction


def expired_reasoning() -> QuerySet[Message]:
    """Return messages with reasoning in conversations last changed more than `RETAIN_REASONING_DAYS` ago."""
    expired = _older_than(settings.RETAIN_REASONING_DAYS)
    return _with_reasoning().filter(conversation__in=expired).order_by("pk")


def expired_conversations() -> QuerySet[Conversation]:
    """Return conversations last changed more than `RETAIN_CONVERSATIONS_DAYS` ago."""
    return _older_than(settings.RETAIN_CONVERSATIONS_DAYS).order_by("pk")


def expired_instructions() -> QuerySet[Instructions]:
    """Return earlier versions of users' instructions, as old as expired conversations, that no conversation needs."""
    if not settings.RETAIN_CONVERSATIONS_DAYS:
        return Instructions.objects.none()
    before = timezone.now() - timedelta(days=settings.RETAIN_CONVERSATIONS_DAYS)
    holds = LegalHold.objects.in_force().exclude(user=None)
    removable = Instructions.objects.removable().filter(conversation=None, created_at__lt=before)
    return removable.exclude(owner__in=holds.values("user"))


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
        .exclude(conversations__in=Conversation.with_deleted.live())
        .order_by("pk")
    )


def expired_audit_entries() -> int:
    """Return the number of audit entries that `RETAIN_AUDIT_DAYS` allows to delete."""
    if not settings.RETAIN_AUDIT_DAYS:
        return 0
    return AuditEntry.objects.filter(number__lte=audit.last_expired(_audit_cutoff())).count()


def expired_verdicts() -> QuerySet[QueueItem]:
    """Return verdicts on deleted conversations that are as old as the audit entries that are deleted."""
    if not settings.RETAIN_AUDIT_DAYS:
        return QueueItem.objects.none()
    return QueueItem.objects.filter(conversation=None, resolved_at__lt=_audit_cutoff())


def prune() -> Iterator[str]:
    """Delete everything that has expired; yield a sentence for each kind.

    Each transaction checks again what has expired, and what a legal hold covers.
    """
    yield f"Deleted the reasoning of {_delete_reasoning()} messages."
    yield f"Deleted {_delete_conversations(expired_conversations(), audit.System())} conversations."
    yield f"Deleted {_delete_instructions()} earlier versions of instructions."
    accounts = 0
    for user in expired_accounts().iterator():
        # Each batch asks again: meanwhile, the account can be activated, used, or covered by a legal hold.
        expired = expired_accounts().filter(pk=user.pk)
        _delete_conversations(Conversation.with_deleted.filter(owner__in=expired).deletable(), audit.System())
        with transaction.atomic():
            if _lock_account(user) and expired.exists():
                accounts += _delete_account(user, audit.System(), AuditAction.PRUNED)
    yield f"Deleted {accounts} deactivated accounts."
    if settings.RETAIN_AUDIT_DAYS:
        verdicts, _ = expired_verdicts().delete()
        yield f"Deleted {verdicts} verdicts on deleted conversations."
        yield f"Deleted {audit.trim(_audit_cutoff())} audit entries."


def why_not_deletable(user: User) -> str:
    """Return why an account cannot be deleted now, as a sentence for administrators; "" if it can."""
    if user.is_active:
        return "Deactivate this account first: clear the box Active and save. Then you can delete it."
    holds = LegalHold.objects.in_force().filter(Q(user=user) | Q(conversation__owner=user))
    if holds.exists():
        return "This account cannot be deleted yet: it must be kept for legal reasons."
    if _all_of(user).live().exists():
        return "An answer is still being written for this account. Try again when it has ended."
    return ""


def delete_conversations_of(
    user: User, actor: audit.Actor | audit.System, action: AuditAction = AuditAction.ACCOUNT_DELETED
) -> int:
    """Delete those of a user's conversations that may be deleted now, in several transactions; return how many."""
    return _delete_conversations(_all_of(user).deletable(), actor, action)


def delete_account(*, actor: audit.Actor | audit.System, user: User) -> bool:
    """Delete a user and all their conversations, and record it; return False if `why_not_deletable` or gone already."""
    with transaction.atomic():
        locked = _lock_account(user)
        if locked is None or why_not_deletable(locked):
            return False
        return _delete_account(locked, actor, AuditAction.ACCOUNT_DELETED)


def _lock_account(user: User) -> User | None:
    """Lock the row, before those of conversations, and read it again; None if it was deleted.

    A hold that is being placed is then seen, or is placed after the caller's transaction. See `LegalHold`.
    """
    return User.objects.select_for_update().filter(pk=user.pk).first()


def _delete_account(user: User, actor: audit.Actor | audit.System, action: AuditAction) -> bool:
    """Delete a user whom the caller has locked, and their conversations; False, and nothing deleted, under a hold."""
    with transaction.atomic():
        delete_conversations_of(user, actor, action)
        if _all_of(user).exists():
            transaction.set_rollback(True)
            return False
        audit.record(actor, action, user=user.pk)
        LegalHold.objects.filter(user=user, lifted_at__isnull=False).delete()  # they protect the row too
        keep_for_today(user)
        user.delete()
    return True


def _all_of(user: User) -> ConversationQuerySet:
    return Conversation.with_deleted.filter(owner=user)


def _audit_cutoff() -> datetime:
    return timezone.now() - timedelta(days=settings.RETAIN_AUDIT_DAYS)


def _older_than(days: int) -> QuerySet[Conversation]:
    """Return deletable conversations last changed, and imported, more than so many days ago; none for 0 days."""
    if not days:
        return Conversation.objects.none()
    before = timezone.now() - timedelta(days=days)
    return Conversation.objects.deletable().filter(updated_at__lt=before).exclude(imported_at__gte=before)


def _with_reasoning() -> QuerySet[Message]:
    """Return messages with reasoning, or with an outline that an earlier version left when it deleted the reasoning."""
    return Message.objects.exclude(reasoning="", outline__isnull=True)


def _delete_reasoning() -> int:
    deleted = 0
    expired = expired_reasoning().values_list("conversation", flat=True).distinct().order_by("conversation")
    while ids := list(expired[:BATCH]):
        with transaction.atomic():
            batch = _lock(ids, _older_than(settings.RETAIN_REASONING_DAYS))
            if not batch:
                break
            audit.record(audit.System(), AuditAction.PRUNED, conversations=batch, reasoning_only=1)
            # Links count characters: those of a later thought would take the place of those that are deleted.
            Share.objects.filter(conversation__in=batch).update(with_reasoning=False)
            messages = _with_reasoning().filter(conversation__in=batch)
            deleted += messages.update(reasoning="", reasoning_words=0, outline=None)
    return deleted


def _delete_instructions() -> int:
    with transaction.atomic():
        _, deleted = expired_instructions().delete()
        number = deleted.get(Instructions._meta.label, 0)
        if number:
            audit.record(audit.System(), AuditAction.PRUNED, instructions=number)
    return number


def _delete_conversations(
    expired: QuerySet[Conversation],
    actor: audit.Actor | audit.System,
    action: AuditAction = AuditAction.PRUNED,
) -> int:
    deleted = 0
    while ids := list(expired.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            batch = _lock(ids, expired)
            if not batch:
                break
            audit.record(actor, action, conversations=batch)
            LegalHold.objects.filter(conversation__in=batch).delete()  # lifted ones protect the row too
            Conversation.with_deleted.filter(pk__in=[conversation.pk for conversation in batch]).delete()
        deleted += len(batch)
    return deleted


def _lock(ids: list[UUID], expired: QuerySet[Conversation]) -> list[Conversation]:
    """Lock these conversations; return those that are still expired, and under no legal hold."""
    list(Conversation.with_deleted.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))
    return list(expired.filter(pk__in=ids))
