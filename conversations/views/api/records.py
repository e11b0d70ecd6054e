"""What the API shows of rows."""

from typing import Any

from conversations.export import GENERATION_FIELDS
from conversations.models import Attachment, Conversation, Generation, Message


def conversation_record(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": str(conversation.pk),
        "title": conversation.title,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "placement": conversation.get_placement_display().lower(),
        "model": conversation.model,
        "depth": conversation.depth,
        "leaf": conversation.leaf_id,
        "imported_from": conversation.imported_from,
    }


def message_record(message: Message, *, reasoning: bool) -> dict[str, Any]:
    """Return a message of `Conversation.read`, with the ids of all its versions."""
    # `Conversation.read` has loaded the reasoning if it was asked to, and of live messages.
    thought, content = message.current_text() if reasoning or message.is_live else ("", message.content)
    return {
        "id": message.pk,
        "parent": message.parent_id,
        "versions": message.versions,
        "role": message.role,
        "content": content,
        **({"reasoning": thought} if reasoning else {}),
        "created_at": message.created_at,
        "rating": message.rating,
        "files": [file_record(each) for each in message.files],
        "imported": message.is_imported,
        "generation": generation_record(message.generation) if message.generation else None,
    }


def generation_record(generation: Generation) -> dict[str, Any]:
    return {"id": generation.pk, **{name: getattr(generation, name) for name in GENERATION_FIELDS}}


def file_record(attachment: Attachment) -> dict[str, Any]:
    stored = attachment.stored
    return {
        "id": str(attachment.pk),
        "name": attachment.name,
        "media_type": stored.media_type,
        "size": stored.size,
        "notice": stored.notice,
    }
