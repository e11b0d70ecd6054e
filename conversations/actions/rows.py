"""The rows of conversations: how actions lock and delete them."""

from typing import Any

from django.db.models import QuerySet

from conversations.actions.refusals import Held
from conversations.models import Conversation, LegalHold
from conversations.models.prepared import prepared


def lock(conversation: Conversation) -> Conversation:
    """Lock the row and read it again, so that of two concurrent prompts the second follows the first in the tree."""
    if not (found := _locked(conversation.pk)):
        raise Conversation.DoesNotExist
    return found[0]


def lock_unless_held(conversation: Conversation, refusal: str) -> Conversation:
    """Lock the row for a change that deletes or overwrites; raise `Held` if a legal hold covers the conversation.

    `refusal` is the first sentence for the user, who learns no more of the hold than that there is a legal reason.
    """
    conversation = lock(conversation)
    if LegalHold.objects.covering(conversation.pk, conversation.owner_id).exists():
        raise Held(f"{refusal}: this conversation must be kept for legal reasons.", conversation)
    return conversation


def delete_row(conversation: Conversation) -> None:
    LegalHold.objects.filter(conversation=conversation).delete()  # lifted holds reference the row too
    Conversation.objects.filter(pk=conversation.pk).delete()


@prepared
def _locked(pk: Any) -> QuerySet[Any]:
    return Conversation.objects.select_for_update().filter(pk=pk)
