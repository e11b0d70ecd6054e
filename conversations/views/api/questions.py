"""Ask, follow and stop: with the same actions and limits as the site's pages."""

import uuid
from http import HTTPStatus
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db.models import Q
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse

from conversations import actions
from conversations.forms import IdsField, PromptForm
from conversations.generation import worker
from conversations.models import Conversation, Generation, Message, Scope
from conversations.views.api.records import file_record, generation_record
from conversations.views.api.resources import ApiError, ApiRequest, flag, invalid, json_response, read_json
from conversations.views.api.stream import MOST_STREAMS, Position, TooManyStreams, stream_response

FIELDS = ("content", "key", "model", "depth", "attachments")


def start_conversation(request: ApiRequest) -> HttpResponse:
    """Ask the first question of a new conversation."""
    return _ask(request, None)


def ask(request: ApiRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask a question in a conversation, after the last message of the branch that its page shows."""
    return _ask(request, get_object_or_404(Conversation.objects.visible_to(request.token.owner), pk=pk))


def _ask(request: ApiRequest, conversation: Conversation | None) -> HttpResponse:
    fields = read_json(request, *FIELDS)
    for name in ("content", "key", "model", "depth"):
        _check_text(fields, name)
    files = _ids(fields.pop("attachments", []))
    if fields.get("key"):
        _uuid(fields["key"], "key")
    form = PromptForm(fields)
    if not form.is_valid():
        invalid(form.first_error)
    owner = request.token.owner
    generation = actions.send_message(user=owner, conversation=conversation, files=files, **form.cleaned_data)
    location = reverse("api:generation", args=[generation.pk])
    return json_response(_asked(generation), HTTPStatus.CREATED, location)


def _asked(generation: Generation) -> dict[str, Any]:
    return {
        "conversation": str(generation.conversation_id),
        "question": generation.message.parent_id,
        "answer": generation.message_id,
        "generation": generation_record(generation),
        "stream": reverse("api:stream", args=[generation.pk]),
    }


def _check_text(fields: dict[str, Any], name: str) -> None:
    text = fields.setdefault(name, "")
    if not isinstance(text, str):
        invalid(f"{name} must be a string.")
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can have halves of surrogate pairs
        invalid(f"{name} has characters that cannot be stored.")


def _ids(found: Any) -> list[uuid.UUID]:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        invalid("attachments must be a list of ids.")
    try:
        return IdsField(required=False).clean(found)
    except ValidationError:
        invalid("attachments must be a list of ids.")


def _uuid(text: str, name: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        invalid(f"{name} must be a UUID.")


def upload(request: ApiRequest) -> HttpResponse:
    """Store the file `file` of a form; respond with its id, to be sent with a question."""
    file = request.FILES.get("file") if request.content_type == "multipart/form-data" else None
    if file is None:
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the file as the part “file” of multipart/form-data.")
    attachment = actions.attach(user=request.token.owner, upload=cast(TemporaryUploadedFile, file))
    return json_response(file_record(attachment), HTTPStatus.CREATED)


def read_generation(request: ApiRequest, pk: int) -> HttpResponse:
    """Return how far an answer is, with its text so far."""
    generation = _own(request, pk)
    message = get_object_or_404(Message.objects.visible_to(request.token.owner), pk=generation.message_id)
    thought, content = message.current_text()
    text = {"content": content, **({"reasoning": thought} if flag(request, "reasoning") else {})}
    return json_response(_asked(generation) | text)


def stop(request: ApiRequest, pk: int) -> HttpResponse:
    """Ask for an answer to be stopped: at once if it is queued, soon otherwise."""
    generation = _own(request, pk)
    actions.stop(generation=generation)
    return json_response(_asked(_own(request, pk)), HTTPStatus.ACCEPTED)


def stream(request: ApiRequest, pk: int) -> HttpResponseBase:
    """Stream an answer as server-sent events, from where `Last-Event-ID` says that an earlier stream has ended."""
    generation = _own(request, pk)
    position = Position.parse(request.headers.get("Last-Event-ID", ""))
    if worker.is_draining():
        raise ApiError(
            HTTPStatus.SERVICE_UNAVAILABLE, "The site is restarting. Try again.", headers={"Retry-After": "1"}
        )
    if request.method == "HEAD":
        return HttpResponse(content_type="text/event-stream")
    try:
        return stream_response(request.token, generation, position)
    except TooManyStreams:
        detail = f"You follow {MOST_STREAMS} answers already. Close a stream first."
        raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, detail, "too_many_streams") from None


def _own(request: ApiRequest, pk: int) -> Generation:
    """Return a generation of the owner's. A token that may not read conversations sees none that is older than it."""
    token = request.token
    readable = Q() if token.allows(Scope.READ) else Q(created_at__gte=token.created_at)
    found = Generation.objects.visible_to(token.owner).select_related("message").defer("request", "message__content")
    return get_object_or_404(found.defer("message__reasoning"), readable, pk=pk)
