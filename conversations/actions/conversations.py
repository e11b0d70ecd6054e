"""Whole conversations: rename, pin, archive, delete."""

from django.db import transaction

from conversations import limits
from conversations.actions.questions import stop
from conversations.actions.refusals import Refused
from conversations.actions.rows import delete_row, lock_unless_held
from conversations.events import Topic, publish
from conversations.inference.allowance import add_usage_so_far
from conversations.models import Conversation, User
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
        # Pins of one owner wait for each other here, so that the limit holds for what all of them commit. In the order
        # in which an account is deleted, and without keeping rows that refer to the user from being added.
        User.objects.select_for_update(no_key=True).get(pk=conversation.owner_id)
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


def delete(*, conversation: Conversation) -> None:
    """Stop a conversation's live generations and delete it. Raises `Held`."""
    with transaction.atomic():
        lock_unless_held(conversation, "You cannot delete this conversation yet")
        for generation in conversation.generations.live():
            stop(generation=generation)
        # What `stop` has not ended is locked by it, so their workers cannot end them before they are deleted.
        for generation in conversation.generations.running():
            add_usage_so_far(generation)
        delete_row(conversation)
        publish(Topic.CONVERSATION_CHANGED, conversation.pk)
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)


def _place(conversation: Conversation, placement: Placement, *, instead_of: tuple[Placement, ...]) -> None:
    if Conversation.objects.filter(pk=conversation.pk, placement__in=instead_of).update(placement=placement):
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)
