"""Pages: a new conversation, one conversation, the list of them; rename and delete."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from conversations import actions
from conversations.forms import PlaceForm, RenameForm
from conversations.models import Conversation
from conversations.views.messages import begin
from conversations.views.pages import listing, page, page_with, thread_page


@login_required
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    return render(request, "conversations/conversation.html", page(request))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """List conversations, or begin one by POST."""
    if request.method == "POST":
        return begin(request)
    template = "_conversation_list" if request.htmx else "list"
    return render(request, f"conversations/{template}.html", listing(request.user, request.GET.get("before", "")))


@login_required
@require_safe
def show(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a conversation's newest messages; with `before`, the id of a message, those that stand before that one.

    With `message`, the id of one, those around it, also where they stand in a version that was left.
    """
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    form = PlaceForm(request.GET)
    form.is_valid()
    before, wanted = form.cleaned_data.get("before"), form.cleaned_data.get("message")
    if wanted:
        context = page_with(conversation, get_object_or_404(conversation.messages, pk=wanted))
        if context is None:
            return redirect(conversation)  # the browser keeps the fragment that names the message
    elif before:
        context = thread_page(conversation, before=before)
    else:
        return render(request, "conversations/conversation.html", page(request, conversation))
    if request.htmx:
        return render(request, "conversations/_messages.html", context)
    return render(
        request,
        "conversations/earlier.html",
        {**listing(request.user), **context, "conversation": conversation},
    )


@login_required
@require_POST
def rename(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    form = RenameForm(request.POST)
    if form.is_valid():
        actions.rename(conversation=conversation, title=form.cleaned_data["title"])
    else:
        messages.error(request, "The title was not changed. Enter 1 to 80 characters.")
    return redirect(conversation)


@login_required
@require_POST
def delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    if not actions.delete(conversation=conversation):
        messages.error(request, "You cannot delete this conversation yet: it must be kept for legal reasons.")
        return redirect(conversation)
    messages.success(request, "Conversation deleted.")
    return redirect("new")
