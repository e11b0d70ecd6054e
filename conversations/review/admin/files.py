"""Attached files, for reviewers. Each access is recorded before anything of the file is sent."""

import uuid

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from conversations import file_responses
from conversations.models import Attachment, Conversation, Message
from conversations.models.permissions import READ
from conversations.rendering.files import FileState, file_states, preview_text
from conversations.review import cases
from conversations.review.admin import access
from conversations.review.admin.access import CaseRequest


@access.require_permission(READ)
@access.require_case
def download(request: CaseRequest, pk: uuid.UUID, file: uuid.UUID) -> HttpResponseBase:
    return file_responses.download(_recorded(request, pk, file))


@access.require_permission(READ)
@access.require_case
def picture(request: CaseRequest, pk: uuid.UUID, file: uuid.UUID) -> HttpResponse:
    return file_responses.picture(_recorded(request, pk, file))


@access.require_permission(READ)
@access.require_case
def preview(request: CaseRequest, pk: uuid.UUID, file: uuid.UUID) -> HttpResponse:
    """Show what the model got of a file."""
    attachment = _recorded(request, pk, file)
    [state] = _states(pk, [attachment])
    back = f"{reverse('admin:review_transcript', args=[pk])}?message={attachment.message_id}"
    context = access.context(request, "Attached file", file=state, text=preview_text(attachment), back_url=back)
    return render(request, "review/admin/file.html", context)


def states(message: Message) -> list[FileState]:
    """Return what a transcript shows of a message's files, with links to the views above."""
    return _states(message.conversation_id, list(message.files))


def _states(conversation: uuid.UUID, files: list[Attachment]) -> list[FileState]:
    return file_states(files, lambda name, pk: reverse(f"admin:review_{name}", args=[conversation, pk]))


def _recorded(request: CaseRequest, pk: uuid.UUID, file: uuid.UUID) -> Attachment:
    conversation = get_object_or_404(Conversation.objects.reviewable_by(request.user), pk=pk)
    found = Attachment.objects.filter(message__conversation=conversation).with_files()
    attachment = get_object_or_404(found, pk=file)
    message = get_object_or_404(conversation.messages.select_related("conversation"), pk=attachment.message_id)
    cases.record_file_read(actor=access.actor(request), case=request.case, attachment=attachment, message=message)
    return attachment
