import re
import uuid

from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from conversations.export import stream_json, stream_markdown
from conversations.models import Conversation
from conversations.request import SignedInRequest

FORMATS = {"md": ("text/markdown; charset=utf-8", stream_markdown), "json": ("application/json", stream_json)}
NAME_CHARACTERS = 60


@login_required
@require_safe
def show(request: SignedInRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Ask how to export a conversation; with `as`, "md" or "json", return it as a file.

    With reasoning, unless `reasoning=0`; only the versions that are shown, unless `versions=all`.
    """
    conversations = Conversation.objects.visible_to(request.user).select_related("instructions")
    conversation = get_object_or_404(conversations, pk=pk)
    extension = request.GET.get("as")
    if extension is None:
        return render(request, "conversations/export.html", {"conversation": conversation})
    if extension not in FORMATS:
        raise BadRequest("unknown format")
    content_type, stream = FORMATS[extension]
    headers = {"Content-Disposition": content_disposition_header(True, _file_name(conversation, extension)) or ""}
    if request.method == "HEAD":
        return HttpResponse(content_type=content_type, headers=headers)
    parts = stream(
        conversation, reasoning=request.GET.get("reasoning") != "0", versions=request.GET.get("versions") == "all"
    )
    return StreamingHttpResponse(parts, content_type=content_type, headers=headers)


def _file_name(conversation: Conversation, extension: str) -> str:
    """Return a name that every file system takes."""
    words = re.findall(r"\w+", conversation.title)
    return f"{' '.join(words)[:NAME_CHARACTERS].strip() or 'Conversation'}.{extension}"
