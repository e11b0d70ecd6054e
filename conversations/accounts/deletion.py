"""Deletion of an account by its owner."""

from django.db import transaction
from django.db.models import Q

from conversations import actions
from conversations.events import Topic, publish
from conversations.models import Conversation, LegalHold, User
from conversations.review import audit, retention

HELD = "You cannot delete your account yet: it must be kept for legal reasons."
HELD_MEANWHILE = "Your account must be kept for legal reasons now. Some of your conversations were deleted before."
LAST_SUPERUSER = "You are the only administrator with all permissions. Give them to someone else first."


def why_not_deletable(user: User) -> str:
    """Return why the owner cannot delete this account now, as a sentence; "" if they can."""
    if LegalHold.objects.in_force().filter(Q(user=user) | Q(conversation__owner=user)).exists():
        return HELD
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    return LAST_SUPERUSER if user.is_superuser and not others.exists() else ""


def delete_own_account(*, user: User, address: str) -> bool:
    """Delete the account and its conversations, stopping its live generations; return False if it is gone already.

    Raises `Refused`: with nothing changed, or if a legal hold is placed meanwhile, which keeps the conversations that
    are left. The audit trail records the deletion with the IP address, but not with the name of the user who is gone.
    """
    if reason := why_not_deletable(user):
        raise actions.Refused(reason)
    actor = audit.System("Account owner", address)
    # Few at a time: with SQLite, nobody else can write meanwhile, and there can be tens of thousands. A superuser's are
    # deleted with the account, because another one who goes at the same time can be the reason to refuse that.
    deleted = 0 if user.is_superuser else retention.delete_conversations_of(user, actor)
    held = HELD_MEANWHILE if deleted else HELD
    with transaction.atomic():
        # Superusers too, so that of the last two only one can go.
        locked = User.objects.select_for_update().filter(Q(pk=user.pk) | Q(is_superuser=True)).order_by("pk")
        owner = next((found for found in locked if found.pk == user.pk), None)
        if owner is None:
            return False
        if reason := why_not_deletable(owner):
            raise actions.Refused(held if reason == HELD else reason)
        owner.is_active = False
        owner.save(update_fields=["is_active"])
        for conversation in Conversation.with_deleted.filter(owner=owner).live():
            actions.delete_at_once(conversation=conversation)
        if not retention.delete_account(actor=actor, user=owner):
            raise actions.Refused(held)
        publish(Topic.ACCOUNT_CHANGED, user.pk)
    return True
