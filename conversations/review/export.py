"""Export conversations as a ZIP that is sent while it is written, with a manifest."""

import csv
import hashlib
import io
import json
import re
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from django.utils import timezone

from conversations import export
from conversations.models import Attachment, Conversation, Instructions, Message, Role, User
from conversations.models.conversation import ConversationQuerySet
from conversations.models.permissions import EXPORT, READ, REASONING, full
from conversations.rendering import outlines
from conversations.review import audit
from conversations.review.models import AuditAction, Case
from conversations.zip_buffer import ZipBuffer

BATCH = 50  # conversations that are read, and recorded, at a time
CHECK_SECONDS = 1.0  # between checks of what the reviewer may export: sending a large export can take hours
# Where a formula could begin (OWASP, CSV injection), full-width characters included: at the start of a cell, and after
# whatever separator a spreadsheet uses, which can be any character but a letter or digit.
FORMULA = re.compile(r"(?<![\w=+\-@＝＋－＠])(?=[=+\-@＝＋－＠])")
GENERATION_FIELDS = (*export.GENERATION_FIELDS, "user_instructions_id", "conversation_instructions_id")
COLUMNS = (
    *("conversation", "owner", "title", "message", "parent", "role", "created_at", "status", "model", "content"),
    "instructions",
    "files",
)


class Withdrawn(Exception):
    """The reviewer may not export any more."""


def stream_zip(
    *, actor: audit.Actor, case: Case, ids: list[UUID], criteria: Mapping[str, str], file_format: str, reasoning: bool
) -> Iterator[bytes]:
    """Yield the parts of a ZIP with these conversations, each of which is recorded before its part is yielded.

    `file_format` is "jsonl" or "csv"; `criteria` are for the manifest. Without `reasoning` there is no field for it.
    If the reviewer loses a permission or the staff status meanwhile, no further conversation follows, and the manifest
    says so. It counts the conversations that are left out, for that or another reason.
    """
    audit.record(
        actor,
        AuditAction.EXPORTED,
        case=case,
        criteria=dict(criteria),
        conversations_asked=len(ids),
        form=file_format,
    )
    buffer, digest = ZipBuffer(), hashlib.sha256()
    size = conversations = messages = 0
    stopped: dict[str, str] = {}
    name = f"conversations.{file_format}"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w", force_zip64=True) as file:

            def write(text: str) -> bytes:
                nonlocal size
                data = text.encode()
                file.write(data)
                digest.update(data)
                size += len(data)
                return buffer.take()

            if file_format == "csv":
                yield write(csv_line([*COLUMNS, "reasoning"] if reasoning else COLUMNS))
            serialise = as_csv if file_format == "csv" else as_json
            try:
                for conversation, thread, instructions in _read(actor, case, ids, file_format, reasoning):
                    conversations += 1
                    messages += len(thread)
                    yield write(serialise(conversation, thread, instructions, reasoning))
            except Withdrawn:
                stopped = {"stopped": "The permission to export was withdrawn during the export."}
        manifest = {
            "made_at": timezone.now().isoformat(),
            "by": actor.name,
            "case": {"number": case.pk, "reason": case.reason},
            "criteria": dict(criteria),
            "reasoning": reasoning,
            "conversations": conversations,
            "left_out": len(ids) - conversations,
            "messages": messages,
            **stopped,
            "files": {name: {"bytes": size, "sha256": digest.hexdigest()}},
        }
        archive.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=2))
    yield buffer.take()


def _exportable(reviewer_id: int, ids: list[UUID], reasoning: bool) -> ConversationQuerySet:
    """Return those of these conversations that this reviewer may export now. Raises `Withdrawn`.

    The reviewer is read again: the request's user remembers the status, the scope and the permissions it had then.
    """
    needed = [full(codename) for codename in (READ, EXPORT, *([REASONING] if reasoning else []))]
    reviewer = User.objects.filter(pk=reviewer_id, is_staff=True).first()
    if reviewer is None or not reviewer.has_perms(needed):
        raise Withdrawn
    return Conversation.objects.reviewable_by(reviewer).filter(pk__in=ids)


def _read(
    actor: audit.Actor, case: Case, ids: list[UUID], file_format: str, reasoning: bool
) -> Iterator[tuple[Conversation, list[Message], list[Instructions]]]:
    """Yield each conversation with its messages and instructions, after it has been recorded. Raises `Withdrawn`.

    Those that were deleted, or that the reviewer may not review any more, are left out.
    """
    actions = [AuditAction.EXPORTED, AuditAction.REASONING] if reasoning else [AuditAction.EXPORTED]
    for start in range(0, len(ids), BATCH):
        found = _exportable(actor.user.pk, ids[start : start + BATCH], reasoning).select_related("owner").in_bulk()
        exportable, checked_at = set(found), time.monotonic()
        batch = [found[pk] for pk in ids[start : start + BATCH] if pk in found]
        if not batch:
            continue
        audit.record(actor, *actions, case=case, conversations=batch, form=file_format)
        threads: dict[UUID, list[Message]] = {conversation.pk: [] for conversation in batch}
        messages = Message.objects.filter(conversation__in=batch).order_by("pk")
        for message in messages.select_related("feedback").prefetch_related("generations"):
            threads[message.conversation_id].append(message)
        files = Attachment.objects.of_messages(message.pk for thread in threads.values() for message in thread)
        for message in (message for thread in threads.values() for message in thread):
            message.files = files.get(message.pk, ())
        instructions = list(Instructions.objects.about(batch))
        for conversation in batch:
            if time.monotonic() - checked_at >= CHECK_SECONDS:
                exportable = set(_exportable(actor.user.pk, list(found), reasoning).values_list("pk", flat=True))
                checked_at = time.monotonic()
            if conversation.pk not in exportable:
                continue
            thread = threads[conversation.pk]
            sent = {pk for message in thread for part in message.generations.all() for pk in part.instructions.values()}
            own = [each for each in instructions if each.conversation_id == conversation.pk or each.pk in sent]
            yield conversation, thread, own


def as_json(
    conversation: Conversation, messages: Iterable[Message], instructions: Iterable[Instructions], reasoning: bool
) -> str:
    """Return the conversation as a line of JSON, with all versions of all messages and of instructions."""
    record = {
        "id": str(conversation.pk),
        "owner": conversation.owner.username,
        "title": conversation.title,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "imported_at": conversation.imported_at,
        "imported_from": conversation.imported_from,
        "shown_up_to": conversation.leaf_id,
        "instructions": [
            {
                "id": version.pk,
                "for": "conversation" if version.conversation_id else "user",
                "content": version.content,
                "created_at": version.created_at,
            }
            for version in instructions
        ],
        "messages": [
            {
                "id": message.pk,
                "parent": message.parent_id,
                "role": message.role,
                "imported": message.is_imported,
                "content": message.content,
                **({"reasoning": message.reasoning, "outline": _outline(message)} if reasoning else {}),
                "created_at": message.created_at,
                "files": [_file(attachment) for attachment in message.files],
                "generations": [
                    {name: getattr(generation, name) for name in GENERATION_FIELDS}
                    for generation in message.generations.all()
                ],
                "feedback": message.feedback.rating if hasattr(message, "feedback") else None,
            }
            for message in messages
        ],
    }
    return json.dumps(record, ensure_ascii=False, default=lambda moment: moment.isoformat()) + "\n"


def _file(attachment: Attachment) -> dict[str, Any]:
    """Return what a file is, and the text of it that the model got."""
    stored = attachment.stored
    facts = {"media_type": stored.media_type, "bytes": stored.size, "sha256": stored.sha256, "text": stored.text}
    return {"id": str(attachment.pk), "name": attachment.name, **facts}


def _outline(message: Message) -> list[dict[str, Any]] | None:
    """Return the steps of a message's reasoning; None if they are not stored."""
    outline = outlines.load(message)
    return [step._asdict() for step in outline.steps] if outline else None


def as_csv(
    conversation: Conversation, messages: Iterable[Message], instructions: Iterable[Instructions], reasoning: bool
) -> str:
    """Return a line of CSV for each message of the conversation."""
    texts = {version.pk: version.content for version in instructions}
    lines = []
    for message in messages:
        newest = max(message.generations.all(), key=lambda generation: generation.pk, default=None)
        line = [
            str(conversation.pk),
            conversation.owner.username,
            conversation.title,
            message.pk,
            message.parent_id or "",
            message.role,
            message.created_at.isoformat(),
            newest.status if newest else "imported" if message.is_imported and message.role == Role.ASSISTANT else "",
            newest.model if newest else message.imported_model,
            message.content,
            "\n\n".join(texts[pk] for pk in newest.instructions.values() if pk in texts) if newest else "",
            "\n".join(attachment.name for attachment in message.files),
        ]
        lines.append(csv_line([*line, message.reasoning] if reasoning else line))
    return "".join(lines)


def csv_line(values: Iterable[Any]) -> str:
    """Return a line of CSV without formulas."""
    line = io.StringIO()
    csv.writer(line).writerow(map(escape_formula, values))
    return line.getvalue()


def escape_formula(value: Any) -> Any:
    """Return a value of which no spreadsheet takes any part for a formula, whatever separator it splits cells at."""
    return FORMULA.sub("'", value) if isinstance(value, str) else value
