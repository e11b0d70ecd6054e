"""What a model thought before it answered: loaded when somebody opens it, rendered as the answers are."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from conversations.models import Message, Role
from conversations.rendering import pool


@login_required
@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Return a message's reasoning: to htmx what belongs into its pane, else a page of its own."""
    answers = Message.objects.visible_to(request.user).filter(role=Role.ASSISTANT)
    answers = answers.select_related("conversation", "parent")
    message = get_object_or_404(answers, pk=pk)
    reasoning, _ = message.text_so_far()
    html = mark_safe(pool.render(reasoning, f"r{message.pk}"))  # noqa: S308  (sanitised last)
    if request.htmx:
        return render(request, "conversations/_reasoning.html", {"html": html})
    return render(request, "conversations/reasoning.html", {"message": message, "html": html})
