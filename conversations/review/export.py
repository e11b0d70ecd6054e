"""Copies of conversations to take away: a ZIP that is written while it is sent, with a manifest of what it holds."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils import timezone

from conversations.models import Conversation, Generation, Message
from conversations.review import audit
from conversations.review.models import AuditAction, Case

BATCH = 50  # conversations that are read, and written down in the trail, at a time
# What spreadsheets take for a formula at the start of a cell (OWASP, CSV injection), full width too.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
GENERATION = (
    "status",
    "error",
    "finish_reason",
    "model",
    "prompt_tokens",
    "reasoning_tokens",
    "answer_tokens",
    "created_at",
    "started_at",
    "first_thought_at",
    "first_answer_at",
    "finished_at",
)
COLUMNS = ("conversation", "owner", "title", "message", "parent", "role", "created_at", "status", "model", "content")


class Sink(io.RawIOBase):
    """What a ZIP is written to: `take` gives away what came since, so that nothing is kept."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def archive(
    *, actor: audit.Actor, case: Case, ids: list[Any], criteria: Mapping[str, str], form: str, reasoning: bool
) -> Iterator[bytes]:
    """Yield a ZIP of these conversations as `form` ('jsonl' or 'csv'), piece by piece; each is written down before.

    `criteria` are for the manifest. Without `reasoning` there is no field for it.
    """
    audit.record(
        actor, AuditAction.EXPORTED, case=case, criteria=dict(criteria), conversations_asked=len(ids), form=form
    )
    sink, digest = Sink(), hashlib.sha256()
    size = conversations = messages = 0
    name = f"conversations.{form}"
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w", force_zip64=True) as file:
            head = csv_line([*COLUMNS, *(["reasoning"] if reasoning else [])]) if form == "csv" else ""
            for text, told in _texts(head, actor, case, ids, form, reasoning):
                data = text.encode()
                file.write(data)
                digest.update(data)
                size += len(data)
                conversations += bool(told)
                messages += told
                yield sink.take()
        manifest = {
            "made_at": timezone.now().isoformat(),
            "by": actor.user.username,
            "case": {"number": case.pk, "reason": case.reason},
            "criteria": dict(criteria),
            "reasoning": reasoning,
            "conversations": conversations,
            "messages": messages,
            "files": {name: {"bytes": size, "sha256": digest.hexdigest()}},
        }
        archive.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=2))
    yield sink.take()


def _texts(
    head: str, actor: audit.Actor, case: Case, ids: list[Any], form: str, reasoning: bool
) -> Iterator[tuple[str, int]]:
    """Yield (text of a conversation, number of its messages), after the head of the file."""
    if head:
        yield head, 0
    acts = [AuditAction.EXPORTED, AuditAction.REASONING] if reasoning else [AuditAction.EXPORTED]
    for start in range(0, len(ids), BATCH):
        found = Conversation.objects.select_related("owner").in_bulk(ids[start : start + BATCH])
        batch = [found[pk] for pk in ids[start : start + BATCH] if pk in found]  # what was deleted meanwhile is gone
        audit.record(actor, *acts, case=case, conversations=batch, form=form)
        by_conversation: dict[Any, list[Message]] = {conversation.pk: [] for conversation in batch}
        said = Message.objects.filter(conversation__in=batch).order_by("pk")
        for message in said.select_related("feedback").prefetch_related("generations"):
            by_conversation[message.conversation_id].append(message)
        for conversation in batch:
            messages = by_conversation[conversation.pk]
            write = as_csv if form == "csv" else as_json
            yield write(conversation, messages, reasoning), len(messages)


def as_json(conversation: Conversation, messages: Iterable[Message], reasoning: bool) -> str:
    """Return a line of JSON: the conversation with all versions of all its messages."""
    record = {
        "id": str(conversation.pk),
        "owner": conversation.owner.username,
        "title": conversation.title,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "shown_up_to": conversation.leaf_id,
        "messages": [
            {
                "id": message.pk,
                "parent": message.parent_id,
                "role": message.role,
                "content": message.content,
                **({"reasoning": message.reasoning} if reasoning else {}),
                "created_at": message.created_at,
                "generations": [_facts(generation) for generation in message.generations.all()],
                "feedback": message.feedback.rating if hasattr(message, "feedback") else None,
            }
            for message in messages
        ],
    }
    return json.dumps(record, ensure_ascii=False, default=lambda moment: moment.isoformat()) + "\n"


def _facts(generation: Generation) -> dict[str, Any]:
    return {name: getattr(generation, name) for name in GENERATION}


def as_csv(conversation: Conversation, messages: Iterable[Message], reasoning: bool) -> str:
    """Return a line for each message of the conversation."""
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
            newest.status if newest else "",
            newest.model if newest else "",
            message.content,
        ]
        lines.append(csv_line([*line, message.reasoning] if reasoning else line))
    return "".join(lines)


def csv_line(cells: Iterable[Any]) -> str:
    """Return a line of CSV in which no cell is a formula."""
    line = io.StringIO()
    csv.writer(line).writerow(map(cell, cells))
    return line.getvalue()


def cell(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
