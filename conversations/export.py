"""A conversation as a file for its owner: JSON with all that is stored of it, or Markdown to read.

docs/export.md describes the JSON, docs/export.schema.json is its schema.
"""

import json
from collections.abc import Generator, Iterator
from typing import Any, Final

from django.utils import timezone

from conversations.models import Attachment, Conversation, Generation, Message, Role

FORMAT: Final = "ponder-conversation"
VERSION: Final = 1  # of the format; it changes when a reader of the one before would misunderstand a file
BATCH = 50  # messages that are read at a time
GENERATION_FIELDS: Final = (
    "status",
    "error",
    "finish_reason",
    "model",
    "depth",
    "prompt_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "answer_tokens",
    "tokens_estimated",
    "created_at",
    "started_at",
    "first_thought_at",
    "first_answer_at",
    "finished_at",
)


def stream_json(conversation: Conversation, *, reasoning: bool, versions: bool) -> Generator[str, None, None]:
    """Yield the parts of a JSON document: the messages that are shown or, with `versions`, all.

    Without `reasoning`, messages have no field for it.
    """
    head = {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": timezone.now(),
        "id": str(conversation.pk),
        "title": conversation.title,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "shown_up_to": conversation.leaf_id,
        "archived": conversation.is_archived,
        "folder": conversation.folder.name if conversation.folder else None,
        "imported": _imported(conversation),
        "instructions": conversation.instructions.content if conversation.instructions else None,
    }
    yield dump(head).removesuffix("}") + ', "messages": ['
    separator = "\n"
    for message in messages_of(conversation, versions=versions):
        yield separator + dump(_record(message, reasoning=reasoning))
        separator = ",\n"
    yield "\n]}\n"


def stream_markdown(conversation: Conversation, *, reasoning: bool, versions: bool) -> Generator[str, None, None]:
    """Yield the parts of a Markdown document: like `stream_json`, without what only a program needs."""
    yield f"# {conversation.title}\n"
    for message in messages_of(conversation, versions=versions):
        yield f"\n## {heading(message)}\n"
        thought, content = message.current_text()
        if facts := particulars(message):
            yield f"\n*{facts}*\n"
        if reasoning and thought:
            yield f"\n### Reasoning\n\n{thought}\n\n### Answer\n"
        yield f"\n{content}\n"
        if message.files:
            yield "\nFiles:\n\n" + "".join(map(_file_line, message.files))


def messages_of(conversation: Conversation, *, versions: bool) -> Iterator[Message]:
    """Yield the messages of an export in order: those that are shown or, with `versions`, all."""
    tree = conversation.tree()
    ids = tree.ids if versions else tree.path_to(conversation.leaf_id)
    for start in range(0, len(ids), BATCH):
        yield from conversation.read(tree, ids[start : start + BATCH], reasoning=True)


def _record(message: Message, *, reasoning: bool) -> dict[str, Any]:
    thought, content = message.current_text()
    return {
        "id": message.pk,
        "parent": message.parent_id,
        "role": message.role,
        "content": content,
        **({"reasoning": thought} if reasoning else {}),
        "attachments": [
            {"name": file.name, "type": file.stored.media_type, "size": file.stored.size, "sha256": file.stored.sha256}
            for file in message.files
        ],
        "created_at": message.created_at,
        "rating": message.rating,
        "imported": message.is_imported,
        "generations": message.imported["generations"] if message.imported else _generations(message),
    }


def _generations(message: Message) -> list[dict[str, Any]]:
    return [{name: getattr(part, name) for name in GENERATION_FIELDS} for part in message.generation_list]


def _imported(conversation: Conversation) -> dict[str, Any] | None:
    if conversation.imported_at is None:
        return None
    return {"at": conversation.imported_at, "from": conversation.imported_from, "id": conversation.source_id}


def heading(message: Message) -> str:
    """Return what a message is called in an export: its number, and which version it is."""
    name = f"{'Question' if message.role == Role.USER else 'Answer'} {message.turn}"
    if len(message.versions) == 1:
        return name
    return f"{name}, version {message.versions.index(message.pk) + 1} of {len(message.versions)}"


def particulars(message: Message) -> str:
    """Return model, depth, outcome and time of an answer, as far as they are known; "" for a question."""
    if message.role == Role.USER:
        return ""
    if message.is_imported:
        parts = ("Imported", message.imported_model, f"{message.created_at:%Y-%m-%d %H:%M} UTC")
        return " · ".join(filter(None, parts))
    return _outcome(message.generation) if message.generation else ""


def _outcome(generation: Generation) -> str:
    ended = generation.finished_at or generation.created_at
    outcome = generation.get_status_display().lower()
    parts = (generation.model_label, generation.get_depth_display(), outcome, f"{ended:%Y-%m-%d %H:%M} UTC")
    return " · ".join(filter(None, parts))


def _file_line(file: Attachment) -> str:
    stored = file.stored
    return f"- {file.name} ({stored.media_type}, {stored.size} bytes, SHA-256 {stored.sha256})\n"


def dump(value: dict[str, Any]) -> str:
    """Return JSON with times in ISO 8601."""
    return json.dumps(value, ensure_ascii=False, default=lambda moment: moment.isoformat())
