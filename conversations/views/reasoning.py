from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from conversations.forms import FindForm
from conversations.rendering import message_state, outlines, reading
from conversations.request import SignedInRequest
from conversations.views.lookups import get_answer


@login_required
@require_safe
@vary_on_headers("HX-Request")
def show(request: SignedInRequest, pk: int) -> HttpResponse:
    """Return an answer's reasoning: for htmx the outline with the text of its steps, otherwise the page to read it.

    `?q=` marks words in the page."""
    message = get_answer(request, pk)
    if not request.htmx:
        form = FindForm(request.GET)
        query = form.cleaned_data["q"] if form.is_valid() else ""
        back = {"back_url": message.get_absolute_url(), "back_label": "Back to the conversation"}
        context = reading.page_context(message, query) | back
        return render(request, "conversations/reasoning.html", context)
    reasoning, _ = message.current_text()
    is_new = outlines.load(message) is None and not message.is_live
    outline = outlines.load_or_build(message) or outlines.build(reasoning)
    steps = reading.render_steps(message.pk, reasoning, outline) if outline else []
    # The page has no timeline yet.
    state = message_state.state_of(message) if is_new and outline else None
    return render(request, "conversations/_outline.html", {"message": message, "steps": steps, "state": state})
