"""Details about an answer, and its text to copy."""

import json
import re
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from conversations.inference.request_log import rebuild_request
from conversations.models import Generation, Message
from conversations.rendering import outcomes
from conversations.rendering.plain_text import beginning, to_plain_text
from conversations.request import SignedInRequest
from conversations.views.lookups import get_answer

# Characters that reorder text (Unicode 23.2). JSON can escape them, so that they do not reorder the page.
REORDERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SEPARATOR = "\n\n---\n\n"  # between reasoning and answer


@login_required
@require_safe
def show(request: SignedInRequest, pk: int) -> HttpResponse:
    """Show outcome, times and tokens of each generation of an answer, and the request that was sent for it."""
    message = get_answer(request, pk)
    parts = [_part_context(part, message) for part in message.parts]
    context = {"message": message, "quoted": beginning(message.content), "parts": parts}
    return render(request, "conversations/details.html", context)


@login_required
@require_safe
def copy(request: SignedInRequest, pk: int, form: str) -> HttpResponse:
    """Return an answer as `form`, "markdown" or "text"; with `?reasoning=1`, its reasoning first."""
    message = get_answer(request, pk)
    reasoning, content = message.current_text()
    texts = [reasoning, content] if request.GET.get("reasoning") else [content]
    if form == "text":
        texts = [to_plain_text(text) for text in texts]
    return HttpResponse(SEPARATOR.join(filter(None, texts)), content_type="text/plain; charset=utf-8")


def _part_context(part: Generation, message: Message) -> dict[str, Any]:
    part.message = message
    body, words_not_sent = rebuild_request(part) or (None, 0)
    text = json.dumps(body, ensure_ascii=False, indent=2) if body else ""
    return {
        "generation": part,
        "notice": "" if part.is_live else outcomes.notice(part, message),
        "request": REORDERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text),
        "not_sent": words_not_sent,
    }
