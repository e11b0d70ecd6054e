"""What reviewers do: state a reason, then read under it. Every act is written down before its content is shown."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from conversations.models import Conversation, Message
from conversations.review import audit
from conversations.review.models import AuditAction, Case


def begin(*, actor: audit.Actor, reason: str, note: str) -> Case:
    """Begin a case; the one this reviewer worked on ends."""
    with transaction.atomic():
        Case.objects.filter(reviewer=actor.user, ended_at=None).update(ended_at=timezone.now())
        case = Case.objects.create(reviewer=actor.user, reason=reason, note=note)
        audit.record(actor, AuditAction.CASE, case=case)
    return case


def end(*, case: Case) -> None:
    """End a case: for the next conversation a reason is asked for anew."""
    Case.objects.filter(pk=case.pk, ended_at=None).update(ended_at=timezone.now())


def open_conversation(*, actor: audit.Actor, case: Case, conversation: Conversation) -> None:
    """Write down that a conversation is read; whoever calls shows it after that."""
    audit.record(actor, AuditAction.OPENED, case=case, conversations=[conversation])


def open_reasoning(*, actor: audit.Actor, case: Case, message: Message) -> None:
    """Write down that what a model thought is read; whoever calls shows it after that."""
    audit.record(actor, AuditAction.REASONING, case=case, conversations=[message.conversation], message_id=message.pk)


def search(*, actor: audit.Actor, case: Case, words: str, reasoning: bool, messages: Sequence[Message]) -> None:
    """Write down what was searched for, and each conversation of which a passage is shown after that."""
    about = list({message.conversation_id: message.conversation for message in messages}.values())
    with transaction.atomic():
        audit.record(actor, AuditAction.SEARCHED, case=case, words=words, reasoning=int(reasoning))
        if about:
            audit.record(actor, AuditAction.FOUND, case=case, conversations=about, reasoning=int(reasoning))


def ask_to_hold(*, actor: audit.Actor, case: Case, days: int, why: str) -> None:
    """Ask another reviewer to agree that the people concerned by a case are told later; once for each case."""
    asked = Case.objects.filter(pk=case.pk, reviewer=actor.user, hold_days=None)
    with transaction.atomic():
        if asked.update(hold_days=days, hold_why=why):
            audit.record(actor, AuditAction.HOLD_ASKED, case=case, days=days, why=why)


def agree_to_hold(*, actor: audit.Actor, case: Case) -> bool:
    """Hold a case's notices back from now on, as long as was asked; False if that is not this person's to say."""
    with transaction.atomic():
        until = timezone.now() + timedelta(days=case.hold_days or 0)
        agreed = Case.objects.awaiting_approval().filter(pk=case.pk).exclude(reviewer=actor.user)
        if not agreed.update(hold_until=until, hold_approved_by=actor.user):
            return False
        audit.record(actor, AuditAction.HOLD_GIVEN, case=case, until=until.isoformat(), of=f"user {case.reviewer_id}")
    return True
