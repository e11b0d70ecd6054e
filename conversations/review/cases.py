"""What reviewers do: state a reason, then read under it. Every act is written down before its content is shown."""

from django.db import transaction
from django.utils import timezone

from conversations.models import Act, Case, Conversation, Message
from conversations.review import audit


def begin(*, who: audit.Who, reason: str, note: str) -> Case:
    """Begin a case; the one this reviewer worked on ends."""
    with transaction.atomic():
        Case.objects.filter(reviewer=who.person, ended_at=None).update(ended_at=timezone.now())
        case = Case.objects.create(reviewer=who.person, reason=reason, note=note)
        audit.record(who, Act.CASE, case=case)
    return case


def end(*, case: Case) -> None:
    """End a case: for the next conversation a reason is asked for anew."""
    Case.objects.filter(pk=case.pk, ended_at=None).update(ended_at=timezone.now())


def open_conversation(*, who: audit.Who, case: Case, conversation: Conversation) -> None:
    """Write down that a conversation is read; whoever calls shows it after that."""
    audit.record(who, Act.OPENED, case=case, conversations=[conversation])


def open_reasoning(*, who: audit.Who, case: Case, message: Message) -> None:
    """Write down that what a model thought is read; whoever calls shows it after that."""
    audit.record(who, Act.REASONING, case=case, conversations=[message.conversation], message_id=message.pk)
