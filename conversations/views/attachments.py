"""Attached files: upload, download, preview, remove. Each is its owner's alone; to everybody else it does not exist."""

import uuid
from typing import cast

from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import Http404, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from conversations import actions, file_responses
from conversations.actions import Refused
from conversations.forms import ComposerForm
from conversations.models import Attachment, Conversation
from conversations.rendering import fragments
from conversations.rendering.files import file_states, preview_text
from conversations.request import SignedInRequest
from conversations.views.refusals import explain_refusals


@login_required
@require_POST
def create(request: SignedInRequest) -> HttpResponse:
    """Store the uploaded `file`; respond with its `id`, and with the HTML that shows it in the composer.

    Until it is sent, it waits in the composer of the conversation with the id `?composer=` or, without one, on the page
    for a new conversation.
    """
    composer = _composer(request)
    upload = request.FILES.get("file")
    if upload is None:
        return JsonResponse({"error": "Choose a file."}, status=422)
    try:
        attachment = actions.attach(user=request.user, upload=cast(TemporaryUploadedFile, upload), composer=composer)
    except Refused as refused:
        return JsonResponse({"error": str(refused)}, status=422)
    [file] = file_states([attachment])
    html = render_to_string("conversations/_attached.html", {"file": file}, request)
    return JsonResponse({"id": str(attachment.pk), "html": html}, status=201)


@login_required
@require_safe
def download(request: SignedInRequest, pk: uuid.UUID) -> HttpResponseBase:
    return file_responses.download(_own(request, pk))


@login_required
@require_safe
def picture(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    return file_responses.picture(_own(request, pk))


@login_required
@require_safe
def preview(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what the model gets of a file."""
    attachment = _own(request, pk)
    [file] = file_states([attachment])
    message = attachment.message
    context = {"file": file, "text": preview_text(attachment), "message": message}
    return render(request, "conversations/attachment.html", context)


@login_required
@require_POST
@explain_refusals
def remove(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Remove a file that was not sent from the composer; only a script asks for it, as forms leave it out."""
    actions.remove_attachment(attachment=_own(request, pk))
    return HttpResponse(fragments.remove(f"attached-{pk}"))


def _composer(request: SignedInRequest) -> Conversation | None:
    form = ComposerForm(request.GET)
    if not form.is_valid():
        raise Http404
    pk = form.cleaned_data["composer"]
    return get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk) if pk else None


def _own(request: SignedInRequest, pk: uuid.UUID) -> Attachment:
    return get_object_or_404(Attachment.objects.visible_to(request.user).with_files(), pk=pk)
