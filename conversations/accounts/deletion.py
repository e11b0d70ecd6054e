"""Deletion of an account by its owner."""

from django.db import transaction
from django.db.models import Q

from conversations import actions
from conversations.events import Topic, publish
from conversations.models import LegalHold, User
from conversations.review import audit, retention

HELD = "You cannot delete your account yet: it must be kept for legal reasons."
LAST_SUPERUSER = "You are the only administrator with all permissions. Give them to someone else first."


def why_not_deletable(user: User) -> str:
    """Return why the owner cannot delete this account now, as a sentence; "" if they can."""
    if LegalHold.objects.in_force().filter(Q(user=user) | Q(conversation__owner=user)).exists():
        return HELD
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    return LAST_SUPERUSER if user.is_superuser and not others.exists() else ""


def delete_own_account(*, user: User, address: str) -> None:
    """Delete the account and its conversations, stopping its live generations. Raises `Refused`, with nothing changed.

    The audit trail records the deletion with the IP address, but not with the name of the user who is gone.
    """
    with transaction.atomic():
        # Superusers too, so that of the last two only one can go.
        locked = User.objects.select_for_update().filter(Q(pk=user.pk) | Q(is_superuser=True)).order_by("pk")
        [owner] = [found for found in locked if found.pk == user.pk]
        if reason := why_not_deletable(owner):
            raise actions.Refused(reason)
        owner.is_active = False
        owner.save(update_fields=["is_active"])
        for conversation in owner.conversations.live():
            actions.delete(conversation=conversation)
        if not retention.delete_account(actor=audit.System("Account owner", address), user=owner):
            raise actions.Refused(HELD)  # the hold has just been placed
        publish(Topic.ACCOUNT_CHANGED, user.pk)
