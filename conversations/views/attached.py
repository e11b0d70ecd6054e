"""The files that come with a prompt: those of the form, and those attached before."""

import uuid
from typing import cast

from django.core.exceptions import BadRequest, ValidationError
from django.core.files.uploadedfile import TemporaryUploadedFile

from conversations import actions
from conversations.actions.attachments import check_number
from conversations.forms import IdsField
from conversations.models import Attachment
from conversations.rendering.files import FileState, file_states
from conversations.request import SignedInRequest

FILES = "files"  # the key in the session of the attachments for the composer of the next page


def take_files(request: SignedInRequest) -> list[uuid.UUID]:
    """Store the files of a prompt's form; return the ids of all its attachments. Raises `Refused`.

    Without a script, they are in the next page's composer, unless `forget_files` says that the prompt was accepted.
    """
    ids, uploads = request_ids(request, "attachment"), request.FILES.getlist("file")
    try:
        check_number(len(ids) + len(uploads))
        for upload in uploads:
            ids.append(actions.attach(user=request.user, upload=cast(TemporaryUploadedFile, upload)).pk)
    finally:
        if not request.htmx:
            keep_files(request, ids)
    return ids


def request_ids(request: SignedInRequest, name: str) -> list[uuid.UUID]:
    """Return the ids of attachments in a form. Raises `BadRequest`."""
    try:
        return IdsField(required=False).clean(request.POST.getlist(name))
    except ValidationError as error:
        raise BadRequest(name) from error


def keep_files(request: SignedInRequest, ids: list[uuid.UUID]) -> None:
    if ids:
        request.session[FILES] = [str(pk) for pk in ids]


def forget_files(request: SignedInRequest) -> None:
    request.session.pop(FILES, None)


def kept_files(request: SignedInRequest) -> list[FileState]:
    """Return the files for this page's composer, and forget them."""
    if not (ids := request.session.pop(FILES, [])):
        return []
    return file_states(Attachment.objects.visible_to(request.user).unsent().filter(pk__in=ids).with_files())
