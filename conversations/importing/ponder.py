"""Read a conversation that a site like this one has exported: docs/export.schema.json."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from conversations.actions.attachments import FILES_PER_QUESTION, file_name
from conversations.export import FORMAT, GENERATION_FIELDS, VERSION
from conversations.importing.items import NotImportable
from conversations.importing.parsed import (
    MESSAGES,
    FileReference,
    Node,
    Parsed,
    identifier,
    mapping,
    moment,
    sequence,
    text,
)
from conversations.importing.tree import arrange
from conversations.models import Depth, Rating, Role, Source, Status
from conversations.models.folder import NAME_CHARACTERS as FOLDER_CHARACTERS
from conversations.models.instructions import INSTRUCTIONS_CHARACTERS

GENERATIONS = 50  # of one message
ERROR_CHARACTERS = 10_000
COUNTS = ("prompt_tokens", "cached_tokens", "reasoning_tokens", "answer_tokens")
TIMES = ("started_at", "first_thought_at", "first_answer_at", "finished_at")
SHA256 = re.compile(r"[0-9a-f]{64}")


def is_ours(record: dict[str, Any]) -> bool:
    return record.get("format") == FORMAT


def read(record: dict[str, Any]) -> Parsed:
    """Return the conversation of an export. Raises `NotImportable`."""
    if record.get("version") != VERSION:
        raise NotImportable("It was exported by a newer version of this site. Update this site first.")
    if len(sequence(record.get("messages"))) > MESSAGES:
        raise NotImportable(f"It has more than {MESSAGES:,} messages.")
    parsed = Parsed(
        Source.PONDER,
        identifier(record.get("id")),
        text(record.get("title")),
        [],
        leaf=identifier(record.get("shown_up_to")) or None,
        created_at=moment(record.get("created_at")),
        updated_at=moment(record.get("updated_at")),
        instructions=text(record.get("instructions"))[:INSTRUCTIONS_CHARACTERS],
        archived=record.get("archived") is True,
        folder=" ".join(text(record.get("folder")).split())[:FOLDER_CHARACTERS].strip(),  # as its form has it
    )
    parsed.nodes = [_node(mapping(message), parsed.omitted) for message in sequence(record.get("messages"))]
    arrange(parsed)
    return parsed


def _node(message: dict[str, Any], omitted: Counter[str]) -> Node:
    key, role = identifier(message.get("id")), message.get("role")
    if not key or role not in Role.values:
        raise NotImportable("A message has no id, or is neither of a user nor of an assistant.")
    rating = message.get("rating")
    generations = sequence(message.get("generations"))[:GENERATIONS]
    is_answer = role == Role.ASSISTANT
    files = [file for each in sequence(message.get("attachments")) if (file := _file(mapping(each)))]
    if more := len(files[FILES_PER_QUESTION:]):
        omitted["files"] += more
    return Node(
        key,
        identifier(message.get("parent")) or None,
        role,
        text(message.get("content")),
        text(message.get("reasoning")) if is_answer else "",
        moment(message.get("created_at")),
        rating if is_answer and rating in Rating.values else None,
        [_generation(mapping(each)) for each in generations] if is_answer else [],
        files[:FILES_PER_QUESTION],
    )


def _file(value: dict[str, Any]) -> FileReference | None:
    digest, name, size = value.get("sha256"), file_name(text(value.get("name"))), value.get("size")
    if not isinstance(digest, str) or not SHA256.fullmatch(digest) or not isinstance(size, int):
        return None
    return FileReference(digest, name, size)


def _generation(value: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an exported generation as they are, if they can be what they should be."""
    checks: dict[str, Callable[[Any], bool]] = {
        "status": lambda found: found in Status.values,
        "depth": lambda found: found in ("", *Depth.values),
        "tokens_estimated": lambda found: isinstance(found, bool),
    }
    checks |= dict.fromkeys(("error", "finish_reason", "model"), _is_short)
    checks |= dict.fromkeys(COUNTS, _is_count)
    checks |= dict.fromkeys((*TIMES, "created_at"), lambda found: isinstance(found, str) and moment(found) is not None)
    found = {}
    for name in GENERATION_FIELDS:
        given = value.get(name)
        found[name] = given if isinstance(given, str | int) and checks[name](given) else DEFAULTS.get(name)
    if found["created_at"] is None:
        raise NotImportable("A generation has no time.")
    return found


DEFAULTS = {"status": Status.COMPLETE.value, "error": "", "finish_reason": "", "model": ""}


def _is_short(found: Any) -> bool:
    return isinstance(found, str) and len(found) <= ERROR_CHARACTERS and text(found) == found


def _is_count(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**31
