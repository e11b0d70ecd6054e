"""Attached files as parts of a question: delimited text, or images for the models that take them."""

import base64
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any
from uuid import UUID

from conversations.models import Attachment, Message

# Of a request: the newest. It is in memory as a whole, twice, until its answer begins.
MAX_IMAGES = 20
MAX_IMAGE_BYTES = 8 * 2**20  # together; an image has up to `extraction.image.MAX_BYTES`
Attached = Mapping[int, Sequence[Attachment]]  # by message id


def tokens_of_files(attached: Attached, message_id: int) -> int:
    return sum(attachment.tokens for attachment in attached.get(message_id, ()))


def newest_images(history: Iterable[Message], attached: Attached) -> set[UUID]:
    """Return the ids of the images that are sent."""
    files = [attachment for message in history for attachment in attached.get(message.pk, ())]
    newest = [each for each in files if each.is_image][: -MAX_IMAGES - 1 : -1]
    sizes = accumulate(each.stored.picture_bytes for each in newest)
    return {each.pk for each, size in zip(newest, sizes, strict=True) if size <= MAX_IMAGE_BYTES}


def with_files(
    message: Message, attached: Attached, image_url: Callable[[Attachment], str] | None, sent: Container[UUID]
) -> str | list[dict[str, Any]]:
    """Return a question's content with its files before it; a list of parts if images are `sent` with it.

    `image_url` returns the `data:` URL of an image; it is None for models that accept no images. For each image that is
    not sent, the content says so.
    """
    files = attached.get(message.pk, ())
    if not files:
        return message.content
    images = [attachment for attachment in files if attachment.pk in sent] if image_url else []
    texts = [_as_text(attachment, is_sent=attachment in images) for attachment in files]
    text = "\n\n".join([*texts, message.content])
    if image_url is None or not images:
        return text
    parts = [{"type": "image_url", "image_url": {"url": image_url(attachment)}} for attachment in images]
    return [*parts, {"type": "text", "text": text}]


def joined(before: Any, after: Any) -> Any:
    """Return the content of two questions in a row as one."""
    if isinstance(before, str) and isinstance(after, str):
        return f"{before}\n\n{after}"
    return _parts(before) + _parts(after)


def texts_of(content: Any) -> list[str]:
    """Return the texts of a message's content, without its images."""
    return [part["text"] for part in _parts(content) if part["type"] == "text"]


def image_parts(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of messages that are images."""
    contents = [message["content"] for message in messages if not isinstance(message["content"], str)]
    return [part for content in contents for part in content if part["type"] == "image_url"]


def remove_images(messages: Iterable[Mapping[str, Any]]) -> None:
    """Remove the images from messages that are not sent again, also for all who still refer to these messages."""
    for message in messages:
        if not isinstance(content := message["content"], str):
            content[:] = [part for part in content if part["type"] != "image_url"]


def data_url(picture: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(picture).decode()}"


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _as_text(attachment: Attachment, *, is_sent: bool) -> str:
    """Return the text of a file between lines that it cannot contain: nobody knew the id when it was written."""
    name = " ".join(attachment.name.split()).replace('"', "'")
    label = f'file id="{attachment.pk.hex}"'
    begin, end = f'<{label} name="{name}">', f"</{label}>"
    if attachment.is_image:
        text = "(This image is part of the message.)" if is_sent else "(This image is not sent.)"
    else:
        text = attachment.stored.text
    notice = f"({attachment.stored.notice})\n" if attachment.stored.notice else ""
    return f"{begin}\n{notice}{text}\n{end}"
