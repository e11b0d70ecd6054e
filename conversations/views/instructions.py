"""Pages to read and change instructions."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from conversations.actions import Refused, save_instructions
from conversations.forms import InstructionsForm
from conversations.models import Conversation
from conversations.request import SignedInRequest
from conversations.views import preferences


@login_required
@require_POST
def save(request: SignedInRequest) -> HttpResponse:
    """Save the user's instructions for all conversations; with an error, show the preferences and keep the text."""
    form = InstructionsForm(request.POST)
    if _save(request, form):
        return redirect("preferences")
    return preferences.show(request, instructions_form=form, status=422)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Show and change a conversation's instructions."""
    conversations = Conversation.objects.visible_to(request.user).select_related("instructions")
    conversation = get_object_or_404(conversations, pk=pk)
    form = InstructionsForm(request.POST or None, instructions=conversation.instructions)
    if request.method == "POST" and _save(request, form, conversation):
        return redirect(conversation)
    context = {"conversation": conversation, "form": form}
    return render(request, "conversations/instructions.html", context, status=422 if form.errors else 200)


def _save(request: SignedInRequest, form: InstructionsForm, conversation: Conversation | None = None) -> bool:
    """Save valid instructions and say so; return False, with an error in the form, if they were not saved."""
    if not form.is_valid():
        return False
    content = form.cleaned_data["content"]
    try:
        save_instructions(user=request.user, content=content, conversation=conversation)
    except Refused as refused:
        form.add_error("content", str(refused))
        return False
    messages.success(request, "Instructions saved." if content else "Instructions removed.")
    return True
