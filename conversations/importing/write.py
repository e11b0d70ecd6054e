"""Store one conversation from a file, in one transaction."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from conversations import actions, limits
from conversations.actions import Refused
from conversations.events import Topic, publish
from conversations.export import messages_of
from conversations.importing.parsed import Node, Parsed
from conversations.models import (
    Attachment,
    Conversation,
    Feedback,
    Folder,
    Instructions,
    Message,
    Source,
    User,
)
from conversations.models.conversation import TITLE_CHARACTERS, Placement, TitleSource, title_from
from conversations.models.folder import key_of
from conversations.models.words import count_words

BATCH = 500  # messages of one statement

Content = tuple[int | None, str, str, str, list[str]]  # the number of the parent, role, content, reasoning, files


class AlreadyHere(Exception):
    """The person has this conversation already, imported or as it was exported."""


def digest_of(parsed: Parsed) -> str:
    """Return what identifies a conversation: its source, its id there, and its messages."""
    numbers: dict[str | None, int | None] = {node.key: number for number, node in enumerate(parsed.nodes)}
    numbers[None] = None
    return _digest(
        parsed.source,
        parsed.source_id,
        (
            (numbers[node.parent], node.role, node.content, node.reasoning, [file.sha256 for file in node.files])
            for node in parsed.nodes
        ),
    )


def is_here(user: User, parsed: Parsed, digest: str) -> bool:
    """Return whether a person has imported this before, or it is a conversation of theirs that has not changed."""
    own = Conversation.objects.visible_to(user)
    if own.filter(source_digest=digest).exists():
        return True
    if parsed.source != Source.PONDER:
        return False
    try:
        exported = own.filter(pk=uuid.UUID(parsed.source_id)).first()
    except ValueError:
        return False
    return exported is not None and _digest(parsed.source, parsed.source_id, _stored(exported)) == digest


def write(user: User, parsed: Parsed, digest: str, files: Mapping[str, Attachment]) -> Conversation:
    """Store a conversation, with those of its files that are in `files`, by their SHA-256, and wait for it.

    Raises `AlreadyHere`, and `Refused` if it does not fit into the person's room.
    """
    now = timezone.now()
    try:
        with transaction.atomic():
            # One that was deleted a moment ago can still be restored. It is then another conversation.
            deleted = Conversation.with_deleted.filter(owner=user, source_digest=digest).exclude(deleted_at=None)
            deleted.update(source_digest=None)
            conversation = _create(user, parsed, digest, now)
            messages = _create_messages(conversation, parsed.nodes, now)
            _attach(user, parsed.nodes, messages, files)
            leaf = messages[parsed.leaf or ""].pk
            own = Conversation.objects.filter(pk=conversation.pk)
            # `auto_now_add` replaces a time that is given.
            own.update(leaf=leaf, created_at=parsed.created_at or parsed.updated_at or now)
            if sentence := limits.full(user.pk, "import the file again"):
                raise Refused(sentence)
            publish(Topic.LIST_CHANGED, user.pk, conversation.pk)
    except IntegrityError as error:
        if Conversation.objects.visible_to(user).filter(source_digest=digest).exists():
            raise AlreadyHere from error
        raise
    return conversation


def _create(user: User, parsed: Parsed, digest: str, now: datetime) -> Conversation:
    first = next((node.content for node in parsed.nodes if node.content), "")
    conversation = Conversation.objects.create(
        owner=user,
        folder=_folder(user, parsed.folder),
        title=parsed.title[:TITLE_CHARACTERS] or title_from(first) or "Imported conversation",
        title_source=TitleSource.PERSON,
        updated_at=parsed.updated_at or parsed.created_at or now,
        placement=Placement.ARCHIVED if parsed.archived else Placement.LISTED,
        imported_at=now,
        imported_from=parsed.source,
        source_id=parsed.source_id,
        source_digest=digest,
    )
    if parsed.instructions:
        applied = Instructions.objects.create(owner=user, conversation=conversation, content=parsed.instructions)
        Conversation.objects.filter(pk=conversation.pk).update(instructions=applied)
    return conversation


def _folder(user: User, name: str) -> Folder | None:
    """Return the person's folder of this name, made if they do not have one; None if they have too many."""
    if not name:
        return None
    if found := Folder.objects.visible_to(user).select_for_update().filter(key=key_of(name)).first():
        return found
    try:
        return actions.create_folder(user=user, name=name)
    except Refused:
        return None


def _create_messages(conversation: Conversation, nodes: list[Node], now: datetime) -> dict[str, Message]:
    """Store messages and ratings; return the messages by key."""
    made = [
        Message(
            conversation=conversation,
            role=node.role,
            content=node.content,
            reasoning=node.reasoning,
            reasoning_words=count_words(node.reasoning),
            imported={"generations": node.generations},
        )
        for node in nodes
    ]
    Message.objects.bulk_create(made, BATCH)
    by_key = {node.key: message for node, message in zip(nodes, made, strict=True)}
    time = conversation.updated_at
    for node, message in zip(nodes, made, strict=True):
        message.parent = by_key[node.parent] if node.parent is not None else None
        message.created_at = node.created_at or time
    Message.objects.bulk_update(made, ["parent", "created_at"], BATCH)
    Feedback.objects.bulk_create(
        [
            Feedback(message=by_key[node.key], conversation=conversation, rating=node.rating, created_at=now)
            for node in nodes
            if node.rating
        ],
        BATCH,
    )
    return by_key


def _attach(user: User, nodes: list[Node], messages: Mapping[str, Message], files: Mapping[str, Attachment]) -> None:
    Attachment.objects.bulk_create(
        [
            Attachment(
                owner=user,
                message=messages[node.key],
                stored=files[file.sha256].stored,
                name=file.name,
                position=position,
            )
            for node in nodes
            for position, file in enumerate(node.files)
            if file.sha256 in files
        ],
        BATCH,
    )


def _stored(conversation: Conversation) -> Iterator[Content]:
    numbers: dict[int | None, int | None] = {None: None}
    for number, message in enumerate(messages_of(conversation, versions=True)):
        numbers[message.pk] = number
        reasoning, content = message.current_text()
        files = [attachment.stored.sha256 for attachment in message.files]
        yield numbers.get(message.parent_id), message.role, content, reasoning, files


def _digest(source: str, source_id: str, messages: Iterable[Content]) -> str:
    found = hashlib.sha256(json.dumps([source, source_id]).encode())
    for message in messages:
        found.update(_line(message))
    return found.hexdigest()


def _line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"
