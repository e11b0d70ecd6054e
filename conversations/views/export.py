import re
import uuid
from collections.abc import Generator

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from conversations.export import stream_json, stream_markdown
from conversations.models import Conversation
from conversations.printed import stream_html
from conversations.request import SignedInRequest
from conversations.views.export_parts import TOO_MANY, ExportParts, TooManyExports


def _to_print(conversation: Conversation, *, reasoning: bool, versions: bool) -> Generator[str, None, None]:
    return stream_html(
        conversation,
        reasoning=reasoning,
        versions=versions,
        file_url=lambda attachment: reverse("attachment", args=[attachment.pk]),
        style_url=static("css/printed.css"),
        back_url=conversation.get_absolute_url(),
    )


FORMATS = {
    "md": ("text/markdown; charset=utf-8", stream_markdown),
    "json": ("application/json", stream_json),
    "html": ("text/html; charset=utf-8", _to_print),
}
NAME_CHARACTERS = 60


@login_required
@require_safe
def show(request: SignedInRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Ask how to export a conversation; with `as`, return it: "md" or "json" as a file, "html" as a page to print.

    With reasoning, unless `reasoning=0`; only the versions that are shown, unless `versions=all`.
    """
    conversations = Conversation.objects.visible_to(request.user).select_related("instructions", "folder")
    conversation = get_object_or_404(conversations, pk=pk)
    extension = request.GET.get("as")
    if extension is None:
        return render(request, "conversations/export.html", {"conversation": conversation})
    if extension not in FORMATS:
        raise BadRequest("unknown format")
    content_type, stream = FORMATS[extension]
    name = content_disposition_header(True, _file_name(conversation, extension)) or ""
    headers = {} if extension == "html" else {"Content-Disposition": name}
    if request.method == "HEAD":
        return HttpResponse(content_type=content_type, headers=headers)
    parts = stream(
        conversation, reasoning=request.GET.get("reasoning") != "0", versions=request.GET.get("versions") == "all"
    )
    try:
        limited = ExportParts(request.user.pk, parts)
    except TooManyExports:
        messages.error(request, TOO_MANY)
        return redirect("export", pk)
    return StreamingHttpResponse(limited, content_type=content_type, headers=headers)


def _file_name(conversation: Conversation, extension: str) -> str:
    """Return a name that every file system takes."""
    words = re.findall(r"\w+", conversation.title)
    return f"{' '.join(words)[:NAME_CHARACTERS].strip() or 'Conversation'}.{extension}"
