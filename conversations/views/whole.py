from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from conversations.models import Message, Role
from conversations.rendering import message_state
from conversations.request import SignedInRequest


@login_required
@require_safe
@vary_on_headers("HX-Request")
def show(request: SignedInRequest, pk: int) -> HttpResponse:
    """Return all of a message of which a page shows the beginning: for htmx what replaces that, otherwise a page."""
    messages = Message.objects.visible_to(request.user).select_related("conversation")
    message = get_object_or_404(messages, pk=pk)
    _, content = message.current_text()
    is_prompt = message.role == Role.USER
    html = escape(content) if is_prompt else mark_safe(message_state.answer_html(message, content))  # noqa: S308  (sanitised)
    if request.htmx:
        return HttpResponse(html)
    return render(request, "conversations/whole.html", {"message": message, "html": html, "is_prompt": is_prompt})
