"""Attached files: store one, attach it to a question, remove it."""

import hashlib
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from threading import BoundedSemaphore
from typing import NamedTuple

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import IntegrityError, transaction

from conversations import limits, storage
from conversations.actions.refusals import Refused, Unavailable
from conversations.actions.rows import lock_user, lock_user_unless_held
from conversations.extraction import Extracted, extract
from conversations.inference.choice import Choice
from conversations.inference.files import MAX_IMAGE_BYTES
from conversations.inference.prompt import estimate_tokens, prompt_room
from conversations.inference.registry import limits_of
from conversations.models import Attachment, Conversation, FileState, Message, StoredFile, User
from conversations.models.attachment import NAME_CHARACTERS

FILES_PER_QUESTION = 10
UNSENT_FILES = 40  # of one person
# Of the threads for uploads; the others receive and refuse meanwhile. Reading a hostile file can take half a minute.
READING_AT_ONCE = settings.UPLOAD_THREADS - 1
WAIT_SECONDS = 5.0
GONE = "A file that you attached is no longer here: it was sent, removed, or deleted after a day. Attach it again."
BUSY = "{} was not attached: the site is reading many files. Wait a few seconds, then attach it again."
NOT_STORED = "{} could not be stored: the site's storage is not available. Try again in a moment."

_reading = BoundedSemaphore(READING_AT_ONCE)


class _Target(NamedTuple):
    """The composer in which a file waits for its question, and how many files of one person may wait."""

    composer: Conversation | None
    most_unsent: int


def attach(
    *,
    user: User,
    upload: TemporaryUploadedFile,
    name: str = "",
    composer: Conversation | None = None,
    most_unsent: int = UNSENT_FILES,
) -> Attachment:
    """Read and store a file that somebody has uploaded; return its attachment, to be sent with a question.

    Its name is `name` or, if that is empty, that of the upload. Until it is sent, it waits in the composer of this
    conversation or, with None, of the page for a new one. At most `most_unsent` of one person wait at a time.
    A file with the same content as an earlier one is not stored again. Raises `Refused`, also if it cannot be read.
    """
    target = _Target(composer, most_unsent)
    name = file_name(name or upload.name or "")
    if upload.size is None or upload.size > settings.FILE_BYTES:
        most = settings.FILE_BYTES // 2**20
        raise Refused(f"{name} is too large: a file can have up to {most} MB. Attach a part of it, or a smaller copy.")
    hashed = hashlib.sha256()
    for chunk in upload.chunks():
        hashed.update(chunk)
    digest = hashed.hexdigest()
    if attachment := _attach_again(user, digest, name, target):
        return attachment
    if not _reading.acquire(timeout=WAIT_SECONDS):
        raise Unavailable(BUSY.format(name))
    try:
        return _read_and_store(user, upload, name, digest, target)
    finally:
        _reading.release()


def remove_attachment(*, attachment: Attachment) -> None:
    """Remove a file that was not sent. Raises `Refused`."""
    with transaction.atomic():
        lock_user_unless_held(attachment.owner_id, "You cannot remove this file yet")
        if not Attachment.objects.unsent().filter(pk=attachment.pk).delete()[0]:
            raise Refused("This file has been sent. To remove it, delete its conversation.")


def send_files(prompt: Message, user: User, ids: Collection[uuid.UUID], position: int = 0) -> list[Attachment]:
    """Attach files that were not sent yet to a new prompt, in this order, and return them. Raises `Refused`."""
    if not ids:
        return []
    check_number(len(ids))
    unsent = Attachment.objects.visible_to(user).unsent().filter(pk__in=ids)
    by_id = {attachment.pk: attachment for attachment in unsent.select_for_update(of=("self",)).with_files()}
    if by_id.keys() != set(ids):
        raise Refused(GONE)
    for number, pk in enumerate(ids, position):
        Attachment.objects.filter(pk=pk).update(message=prompt, position=number, composer=None)
    return [by_id[pk] for pk in ids]


def copy_files(old: Message, new: Message, without: Collection[uuid.UUID]) -> list[Attachment]:
    """Attach the files of a prompt to another version of it, except those in `without`; return the new attachments."""
    kept = list(Attachment.objects.filter(message=old).exclude(pk__in=without).with_files())
    copies = [
        Attachment(owner_id=each.owner_id, message=new, stored=each.stored, name=each.name, position=position)
        for position, each in enumerate(kept)
    ]
    return Attachment.objects.bulk_create(copies)


def check_files(content: str, files: Sequence[Attachment], choice: Choice) -> None:
    """Raise `Refused` if the chosen model cannot read a question's files."""
    if not files:
        return
    check_number(len(files))
    model = limits_of(choice.model)
    profile = model.profile
    if not profile.images and (images := [each.name for each in files if each.is_image]):
        others = any(other.profile.images for other in settings.MODELS.values())
        instead = ", or choose another model" if others else ""
        raise Refused(f"{model.label} cannot read images. Remove {' and '.join(images)}{instead}.")
    size = sum(each.stored.picture_bytes for each in files if each.is_image)
    if size > MAX_IMAGE_BYTES:
        raise Refused(
            f"The images of a question can have up to {MAX_IMAGE_BYTES // 2**20} MB together, and these have"
            f" {size / 2**20:.1f} MB. Remove some, and ask about them in another question."
        )
    tokens = estimate_tokens(content) + sum(each.tokens for each in files)
    room = prompt_room(model.context_tokens, profile.max_output_tokens)
    if tokens > room:
        raise Refused(
            f"With its files, this question has about {tokens:,} tokens, and {model.label} can read {room:,}."
            " Remove a file, or attach a part of it."
        )


def check_number(number: int) -> None:
    """Raise `Refused` if a question cannot have so many files."""
    if number > FILES_PER_QUESTION:
        raise Refused(f"A question can have up to {FILES_PER_QUESTION} files, and this one has {number}. Remove some.")


def _read_and_store(user: User, upload: TemporaryUploadedFile, name: str, digest: str, target: _Target) -> Attachment:
    stored = _reserve(user, upload.size or 0, digest)
    try:
        found = extract(Path(upload.temporary_file_path()), name)
        if found.problem:
            raise Refused(f"{name}: {found.problem}")
        return _store(user, stored, upload, name, found, target)
    except BaseException as error:
        # `file_cleanup` deletes what was written, also if this process does not get here.
        StoredFile.objects.filter(pk=stored.pk, state=FileState.WRITING).update(state=FileState.DELETING)
        if isinstance(error, storage.StorageError):
            raise Unavailable(NOT_STORED.format(name)) from error
        raise


def file_name(given: str) -> str:
    """Return a name without characters that cannot be seen or that reorder text, shortened before its ending."""
    name = "".join(each if each.isprintable() else " " for each in given).strip() or "file"
    ending = Path(name).suffix[:20]
    return name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - len(ending)] + ending


def _attach_again(user: User, digest: str, name: str, target: _Target) -> Attachment | None:
    """Attach a file that this person has stored already; None if there is none with this content."""
    with transaction.atomic():
        lock_user(user.pk)
        rows = StoredFile.objects.select_for_update().defer("text")
        stored = rows.filter(owner=user, sha256=digest, state=FileState.STORED).first()
        return _create(user, stored, name, target) if stored else None


def _reserve(user: User, size: int, digest: str) -> StoredFile:
    """Create the row of a file that will be written, with what it takes of its owner's room."""
    with transaction.atomic():
        stored = StoredFile.objects.create(owner=user, sha256=digest, size=size, bytes=size)
        _check_room(user)
    return stored


def _store(
    user: User,
    stored: StoredFile,
    upload: TemporaryUploadedFile,
    name: str,
    found: Extracted,
    target: _Target,
) -> Attachment:
    picture = found.picture.data if found.picture else b""
    text_bytes = len(found.text.encode())
    columns = {
        "state": FileState.STORED,
        "kind": found.kind,
        "media_type": found.media_type,
        "notice": found.notice,
        "text": found.text,
        "text_bytes": text_bytes,
        "bytes": stored.size + len(picture) + text_bytes,
    }
    if found.picture:
        shown = found.picture
        columns |= {"picture_type": shown.media_type, "width": shown.width, "height": shown.height}
    storage.write(stored, upload, picture)
    try:
        with transaction.atomic():
            lock_user(user.pk)
            if not StoredFile.objects.filter(pk=stored.pk, state=FileState.WRITING).update(**columns):
                raise Unavailable(NOT_STORED.format(name))
            _check_room(user)
            for column, value in columns.items():
                setattr(stored, column, value)
            return _create(user, stored, name, target)
    except IntegrityError:
        # A concurrent upload has stored the same content.
        StoredFile.objects.filter(pk=stored.pk).update(state=FileState.DELETING)
        if attachment := _attach_again(user, stored.sha256, name, target):
            return attachment
        raise


def _create(user: User, stored: StoredFile, name: str, target: _Target) -> Attachment:
    """Create an attachment. The caller has locked its owner, so that the limit holds for what all uploads commit."""
    most = target.most_unsent
    if Attachment.objects.visible_to(user).in_composers().count() >= most:
        raise Refused(f"{most} of your files wait for a question. Send or remove some, then attach it again.")
    return Attachment.objects.create(owner=user, stored=stored, name=name, composer=target.composer)


def _check_room(user: User) -> None:
    if sentence := limits.full(user.pk):
        raise Refused(sentence)
