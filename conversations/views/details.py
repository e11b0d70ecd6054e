"""An answer's particulars, and copies of it to take away."""

import json
import re
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from conversations.inference.request_log import rebuild_request
from conversations.models import Generation, Message, Role
from conversations.rendering import outcomes
from conversations.rendering.plain_text import to_plain_text

# Characters that reorder text (Unicode 23.2): JSON may name them instead, and then they do nothing to the page.
REORDERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SEPARATOR = "\n\n---\n\n"  # between what was thought and the answer


@login_required
@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell of each part of an answer how it came to be, and show the request it was asked for with."""
    message = _answer(request, pk)
    context = {"message": message, "parts": [_told(part, message) for part in message.parts]}
    return render(request, "conversations/details.html", context)


@login_required
@require_safe
def copy(request: HttpRequest, pk: int, form: str) -> HttpResponse:
    """Return an answer as `form`, 'markdown' or 'text'; with `?reasoning=1` behind what was thought."""
    message = _answer(request, pk)
    texts = list(message.text_so_far()) if request.GET.get("reasoning") else [message.text_so_far()[1]]
    if form == "text":
        texts = [to_plain_text(text) for text in texts]
    copied = SEPARATOR.join(filter(None, texts))
    return HttpResponse(copied, content_type="text/plain; charset=utf-8")


def _answer(request: HttpRequest, pk: int) -> Message:
    answers = Message.objects.visible_to(request.user).filter(role=Role.ASSISTANT).select_related("conversation")
    return get_object_or_404(answers, pk=pk)


def _told(part: Generation, message: Message) -> dict[str, Any]:
    part.message = message
    body, thought = rebuild_request(part) or (None, 0)
    text = json.dumps(body, ensure_ascii=False, indent=2) if body else ""
    return {
        "generation": part,
        "notice": "" if part.is_live else outcomes.notice(part, message),
        "request": REORDERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text),
        "not_sent": thought,
    }
