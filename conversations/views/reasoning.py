from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from conversations.rendering import pool
from conversations.request import SignedInRequest
from conversations.views.lookups import get_answer


@login_required
@require_safe
def show(request: SignedInRequest, pk: int) -> HttpResponse:
    """Return an answer's reasoning: for htmx the content of its pane, otherwise a page."""
    message = get_answer(request, pk)
    reasoning, _ = message.current_text()
    html = mark_safe(pool.render(reasoning, f"r{message.pk}"))  # noqa: S308  (sanitised)
    if request.htmx:
        return render(request, "conversations/_reasoning.html", {"html": html})
    return render(request, "conversations/reasoning.html", {"message": message, "html": html})
