"""The files that come with a prompt: those of the form, and those attached before."""

import uuid
from contextlib import suppress
from typing import cast

from django.core.exceptions import BadRequest, ValidationError
from django.core.files.uploadedfile import TemporaryUploadedFile

from conversations import actions
from conversations.actions import Refused
from conversations.actions.attachments import check_number
from conversations.forms import IdsField
from conversations.models import Attachment, Conversation
from conversations.rendering.files import FileState, file_states
from conversations.request import SignedInRequest


def take_files(request: SignedInRequest, composer: Conversation | None = None) -> list[uuid.UUID]:
    """Store the files of a prompt's form; return the ids of all its attachments. Raises `Refused`.

    They wait in `composer` if the prompt is refused. Those that the form showed and that were left out are removed.
    """
    ids, uploads = request_ids(request, "attachment"), request.FILES.getlist("file")
    for attachment in Attachment.objects.visible_to(request.user).filter(pk__in=request_ids(request, "shown")):
        if attachment.pk not in ids:
            with suppress(Refused):  # it was sent meanwhile, or must be kept
                actions.remove_attachment(attachment=attachment)
    check_number(len(ids) + len(uploads))
    for upload in uploads:
        file = cast(TemporaryUploadedFile, upload)
        ids.append(actions.attach(user=request.user, upload=file, composer=composer).pk)
    return ids


def request_ids(request: SignedInRequest, name: str) -> list[uuid.UUID]:
    """Return the ids of attachments in a form. Raises `BadRequest`."""
    try:
        return IdsField(required=False).clean(request.POST.getlist(name))
    except ValidationError as error:
        raise BadRequest(name) from error


def files_in_composer(request: SignedInRequest, conversation: Conversation | None) -> list[FileState]:
    """Return the files that wait in a page's composer, so that they are there again after a reload."""
    return file_states(Attachment.objects.visible_to(request.user).in_composer(conversation).with_files())
