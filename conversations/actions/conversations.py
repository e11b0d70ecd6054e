"""Whole conversations: rename, delete."""

from django.db import transaction

from conversations.actions.questions import stop
from conversations.actions.rows import delete_row, lock_unless_held
from conversations.events import Topic, publish
from conversations.inference.allowance import add_usage_so_far
from conversations.models import Conversation
from conversations.models.conversation import TITLE_CHARACTERS


def rename(*, conversation: Conversation, title: str) -> None:
    """Change the title. Raises `Held`."""
    with transaction.atomic():
        lock_unless_held(conversation, "You cannot rename this conversation yet")
        Conversation.objects.filter(pk=conversation.pk).update(title=title[:TITLE_CHARACTERS])
        publish(Topic.CONVERSATION_CHANGED, conversation.pk)
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)


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
