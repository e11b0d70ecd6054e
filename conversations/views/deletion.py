"""Delete a conversation, and undo it for a moment."""

import uuid
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from conversations import actions
from conversations.models import Conversation
from conversations.models.conversation import parse_moment
from conversations.rendering import fragments
from conversations.request import SignedInRequest
from conversations.views.lookups import is_open, path_of
from conversations.views.redirects import redirect_back
from conversations.views.refusals import explain_refusals_in_form

DONE = "Conversation deleted."


@login_required
@require_POST
@explain_refusals_in_form
def delete(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    deleted_at = actions.delete(conversation=conversation)
    if request.htmx and not is_open(request, conversation):
        context = {"sentence": DONE, "deleted_at": deleted_at.isoformat(), "next": path_of(request)}
        undo = render_to_string("conversations/_undo.html", context, request)
        return HttpResponse(fragments.remove(f"listed-{pk}") + fragments.replace("undo", undo))
    offer_undo(request, DONE, deleted_at)
    return HttpResponseClientRedirect(reverse("new")) if request.htmx else redirect_back(request, reverse("new"))


@login_required
@require_POST
def undo(request: SignedInRequest) -> HttpResponse:
    """Restore what was deleted at the moment `deleted_at`."""
    deleted_at = parse_moment(request.POST.get("deleted_at", ""))
    if deleted_at is None:
        raise BadRequest("deleted_at")
    restored = actions.restore(user=request.user, deleted_at=deleted_at)
    if not restored:
        messages.error(request, "It is too late to undo this. What you deleted is gone.")
        return redirect_back(request, reverse("conversations"))
    number = len(restored)
    messages.success(request, "Conversation restored." if number == 1 else f"{number} conversations restored.")
    there = reverse("conversation", args=restored) if number == 1 else reverse("conversations")
    return redirect_back(request, there)


def offer_undo(request: SignedInRequest, sentence: str, deleted_at: datetime) -> None:
    """Show on the next page what was deleted, with a button that undoes it."""
    messages.success(request, sentence, extra_tags=deleted_at.isoformat())
