"""How actions lock the rows of users and conversations, and delete conversations."""

from typing import Any

from django.db.models import QuerySet

from conversations.actions.refusals import Held
from conversations.models import Conversation, LegalHold, User
from conversations.models.prepared import prepared


def lock(conversation: Conversation) -> Conversation:
    """Lock the row and read it again, so that of two concurrent prompts the second follows the first in the tree."""
    if not (found := _locked(conversation.pk)):
        raise Conversation.DoesNotExist
    return found[0]


def lock_unless_held(conversation: Conversation, refusal: str) -> Conversation:
    """Lock the row for a change that deletes or overwrites. Raises `Held` like `refuse_if_held`."""
    conversation = lock(conversation)
    refuse_if_held(conversation, refusal)
    return conversation


def refuse_if_held(conversation: Conversation, refusal: str) -> None:
    """Raise `Held` if a legal hold covers a conversation, which the caller has locked.

    `refusal` is the first sentence for the user, who learns no more of the hold than that there is a legal reason.
    """
    if LegalHold.objects.covering(conversation.pk, conversation.owner_id).exists():
        raise Held(f"{refusal}: this conversation must be kept for legal reasons.", conversation)


def lock_user(user_id: int) -> None:
    """Lock the row, so that a limit for one person holds for what concurrent transactions commit together.

    Placing a legal hold on the person waits for this too. Rows that refer to the user can still be added.
    """
    User.objects.select_for_update(no_key=True).get(pk=user_id)


def lock_user_unless_held(user_id: int, refusal: str) -> None:
    """Lock the row for a change to what a person has outside of conversations. Raises `Held` if a hold covers them.

    `refusal` is the first part of the sentence for the user.
    """
    lock_user(user_id)
    if LegalHold.objects.in_force().filter(user=user_id).exists():
        raise Held(f"{refusal}: it must be kept for legal reasons.")


def delete_row(conversation: Conversation) -> None:
    LegalHold.objects.filter(conversation=conversation).delete()  # lifted holds reference the row too
    Conversation.with_deleted.filter(pk=conversation.pk).delete()


@prepared
def _locked(pk: Any) -> QuerySet[Any]:
    return Conversation.objects.select_for_update().filter(pk=pk)
