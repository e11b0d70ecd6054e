"""Cases, and the record of what reviewers see in them. Callers show content only after it has been recorded."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from conversations.models import Attachment, Conversation, Message, Share
from conversations.review import audit
from conversations.review.models import AuditAction, Case


def open_case(*, actor: audit.Actor, reason: str, note: str) -> Case:
    """Open a case; close the one that this reviewer had open."""
    with transaction.atomic():
        Case.objects.filter(reviewer=actor.user, ended_at=None).update(ended_at=timezone.now())
        case = Case.objects.create(reviewer=actor.user, reason=reason, note=note)
        audit.record(actor, AuditAction.CASE_OPENED, case=case)
    return case


def close_case(*, case: Case) -> None:
    """Close a case, so that the reviewer is asked for a reason again."""
    Case.objects.filter(pk=case.pk, ended_at=None).update(ended_at=timezone.now())


def record_conversation_read(*, actor: audit.Actor, case: Case, conversation: Conversation) -> None:
    audit.record(actor, AuditAction.OPENED, case=case, conversations=[conversation])


def record_reasoning_read(*, actor: audit.Actor, case: Case, message: Message) -> None:
    audit.record(actor, AuditAction.REASONING, case=case, conversations=[message.conversation], message_id=message.pk)


def record_file_read(*, actor: audit.Actor, case: Case, attachment: Attachment, message: Message) -> None:
    conversations, file = [message.conversation], str(attachment.pk)
    audit.record(actor, AuditAction.FILE, case=case, conversations=conversations, message_id=message.pk, file=file)


def end_share(*, actor: audit.Actor, case: Case, share: Share, reason: str) -> bool:
    """End a link for a reason that its owner sees; return False if it had ended already."""
    with transaction.atomic():
        ended = {"ended_at": timezone.now(), "end_reason": reason}
        if not Share.objects.active().filter(pk=share.pk).update(**ended):
            return False
        about = [share.conversation]
        audit.record(actor, AuditAction.SHARE_ENDED, case=case, conversations=about, share=str(share.pk), why=reason)
    return True


def record_search(*, actor: audit.Actor, case: Case, query: str, reasoning: bool, messages: Sequence[Message]) -> None:
    """Record a search, and each conversation of which the results show an excerpt."""
    conversations = list({message.conversation_id: message.conversation for message in messages}.values())
    with transaction.atomic():
        audit.record(actor, AuditAction.SEARCHED, case=case, words=query, reasoning=int(reasoning))
        if conversations:
            audit.record(actor, AuditAction.FOUND, case=case, conversations=conversations, reasoning=int(reasoning))


def request_notice_delay(*, actor: audit.Actor, case: Case, days: int, why: str) -> None:
    """Ask for approval to delay the notices of a case by some days; only the first request for a case counts."""
    unrequested = Case.objects.filter(pk=case.pk, reviewer=actor.user, hold_days=None)
    with transaction.atomic():
        if unrequested.update(hold_days=days, hold_why=why):
            audit.record(actor, AuditAction.DELAY_REQUESTED, case=case, days=days, why=why)


def approve_notice_delay(*, actor: audit.Actor, case: Case) -> bool:
    """Delay the notices of a case from now on, for the days requested.

    Return False if no request is waiting, or if it is this reviewer's own.
    """
    with transaction.atomic():
        until = timezone.now() + timedelta(days=case.hold_days or 0)
        waiting = Case.objects.awaiting_approval().filter(pk=case.pk).exclude(reviewer=actor.user)
        if not waiting.update(hold_until=until, hold_approved_by=actor.user):
            return False
        of = f"user {case.reviewer_id}"
        audit.record(actor, AuditAction.DELAY_APPROVED, case=case, until=until.isoformat(), of=of)
    return True
