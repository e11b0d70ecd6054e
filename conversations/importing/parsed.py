"""A conversation from a file, before it is stored."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from django.utils import timezone

from conversations.importing.items import NotImportable
from conversations.inference.sanitise import storable
from conversations.models import Source
from conversations.models.conversation import parse_moment

MESSAGES: Final = 20_000  # of one conversation
TEXT_CHARACTERS: Final = 2_000_000  # of one message's content, or of its reasoning
YEARS: Final = range(1990, 10_000)  # a time outside of them is an error in the file
ID_CHARACTERS: Final = 200


class FileReference(NamedTuple):
    """A file that a question has, by what it contains."""

    sha256: str
    name: str
    size: int


@dataclass(slots=True)
class Node:
    """A message. `parent` is the key of an earlier one; None for a first question."""

    key: str
    parent: str | None
    role: str
    content: str = ""
    reasoning: str = ""
    created_at: datetime | None = None
    rating: str | None = None
    generations: list[dict[str, Any]] = field(default_factory=list)
    files: list[FileReference] = field(default_factory=list)


@dataclass(slots=True)
class Parsed:
    """A conversation. `leaf` is the key of the last message that is shown; `omitted` counts what is left out."""

    source: Source
    source_id: str
    title: str
    nodes: list[Node]
    leaf: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    instructions: str = ""
    archived: bool = False
    folder: str = ""
    omitted: Counter[str] = field(default_factory=Counter)


def text(value: Any) -> str:
    """Return a string of a file as it can be stored; "" for anything else. Raises `NotImportable`."""
    if not isinstance(value, str):
        return ""
    if len(value) > TEXT_CHARACTERS:
        raise NotImportable(f"A message has more than {TEXT_CHARACTERS:,} characters.")
    return storable(value)


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def identifier(value: Any) -> str:
    """Return an id of a file as text; "" if it is none."""
    return storable(str(value))[:ID_CHARACTERS] if isinstance(value, str | int) else ""


def moment(value: Any) -> datetime | None:
    """Return a time, in ISO 8601 or in seconds since 1970, but not in the future; None if it is none."""
    found = None
    if isinstance(value, str):
        found = parse_moment(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            found = datetime.fromtimestamp(value, UTC)
        except (OverflowError, ValueError, OSError):  # infinity and NaN too
            return None
    return min(found, timezone.now()) if found and found.year in YEARS else None


def generation(model: str, created_at: datetime | None) -> dict[str, Any]:
    """Return what exports have of a generation, for a source that only names the model."""
    known = {"status": "complete", "error": "", "finish_reason": "", "model": model[:ID_CHARACTERS], "depth": ""}
    unknown = ("prompt_tokens", "cached_tokens", "reasoning_tokens", "answer_tokens", "tokens_estimated")
    times = ("started_at", "first_thought_at", "first_answer_at", "finished_at")
    created = (created_at or timezone.now()).isoformat()
    return known | dict.fromkeys(unknown) | {"created_at": created} | dict.fromkeys(times)
