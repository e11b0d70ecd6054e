"""Whole conversations: rename, pin, archive."""

from django.db import transaction

from conversations import limits
from conversations.actions.refusals import Refused
from conversations.actions.rows import lock_unless_held, lock_user
from conversations.events import Topic, publish
from conversations.models import Conversation
from conversations.models.conversation import TITLE_CHARACTERS, Placement, TitleSource


def rename(*, conversation: Conversation, title: str) -> None:
    """Change the title, which no model changes from then on. Raises `Held`."""
    with transaction.atomic():
        lock_unless_held(conversation, "You cannot rename this conversation yet")
        renamed = {"title": title[:TITLE_CHARACTERS], "title_source": TitleSource.PERSON}
        Conversation.objects.filter(pk=conversation.pk).update(**renamed)
        publish(Topic.CONVERSATION_CHANGED, conversation.pk)
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)


def pin(*, conversation: Conversation, pinned: bool) -> None:
    """Keep a conversation at the top of its owner's list, or no longer. Pinning an archived one lists it again.

    Like `archive`, this changes nothing that a legal hold protects, and not `updated_at`, from which retention counts.
    Raises `Refused` if its owner has pinned `limits.PINNED` others.
    """
    with transaction.atomic():
        lock_user(conversation.owner_id)  # before the conversation: in the order in which an account is deleted
        others = Conversation.objects.visible_to(conversation.owner_id).pinned().exclude(pk=conversation.pk)
        if pinned and others.count() >= limits.PINNED:
            raise Refused(f"You have pinned {limits.PINNED} conversations. Unpin one, then try again.", conversation)
        if pinned:
            _place(conversation, Placement.PINNED, instead_of=(Placement.LISTED, Placement.ARCHIVED))
        else:
            _place(conversation, Placement.LISTED, instead_of=(Placement.PINNED,))


def archive(*, conversation: Conversation, archived: bool) -> None:
    """Take a conversation out of its owner's list, or put it back. It stays stored, found by search and reviewable.

    A legal hold allows it: nothing is deleted or overwritten.
    """
    if archived:
        _place(conversation, Placement.ARCHIVED, instead_of=(Placement.LISTED, Placement.PINNED))
    else:
        _place(conversation, Placement.LISTED, instead_of=(Placement.ARCHIVED,))


def _place(conversation: Conversation, placement: Placement, *, instead_of: tuple[Placement, ...]) -> None:
    if Conversation.objects.filter(pk=conversation.pk, placement__in=instead_of).update(placement=placement):
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)
