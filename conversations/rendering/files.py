"""What pages show of attached files."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from conversations.models import Attachment
from conversations.models.message import PAGE_CHARACTERS

KINDS = {
    "text": "Text",
    "markdown": "Markdown",
    "code": "Code",
    "csv": "CSV",
    "json": "JSON",
    "html": "HTML",
    "pdf": "PDF",
    "word": "Word",
    "excel": "Excel",
    "powerpoint": "PowerPoint",
    "image": "Image",
}
PICTURE_SIDE = 240  # pixels of a picture in a message


@dataclass(frozen=True, slots=True)
class FileState:
    """What templates show of an attachment, as `file`. `picture_url` is empty unless it is an image."""

    id: uuid.UUID
    name: str
    details: str
    notice: str
    sha256: str  # only in print
    url: str
    preview_url: str
    picture_url: str
    width: int
    height: int


def file_states(files: Iterable[Attachment], url: Callable[[str, uuid.UUID], str] | None = None) -> list[FileState]:
    """Return the states of attachments. `url` returns the address of a view; by default that for the owner."""
    return [_state(attachment, url or _owners_url) for attachment in files]


def details(attachment: Attachment) -> str:
    """Return what a file is, its size, and about how many tokens it has in a question."""
    stored = attachment.stored
    kind, size = KINDS.get(stored.kind, "File"), filesizeformat(stored.size).replace("\xa0", " ")
    return f"{kind}, {size}, about {attachment.tokens:,} tokens"


def preview_text(attachment: Attachment) -> str:
    """Return the text that a model gets of a file, or its beginning if it is long."""
    text = attachment.stored.text
    return text if len(text) <= PAGE_CHARACTERS else f"{text[:PAGE_CHARACTERS]}…"


def _owners_url(name: str, pk: uuid.UUID) -> str:
    return reverse(name, args=[pk])


def _state(attachment: Attachment, url: Callable[[str, uuid.UUID], str]) -> FileState:
    stored = attachment.stored
    scale = min(1, PICTURE_SIDE / max(stored.width, stored.height, 1))
    return FileState(
        attachment.pk,
        attachment.name,
        details(attachment),
        stored.notice,
        stored.sha256,
        url("attachment", attachment.pk),
        url("attachment_preview", attachment.pk),
        url("attachment_picture", attachment.pk) if attachment.is_image else "",
        max(1, round(stored.width * scale)),
        max(1, round(stored.height * scale)),
    )
