"""Pages: a new conversation, one conversation, the list of conversations; rename and delete."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from conversations import actions
from conversations.forms import PositionForm, RenameForm
from conversations.models import Conversation
from conversations.request import SignedInRequest
from conversations.views.messages import start_conversation
from conversations.views.pages import conversation_list, page_context, thread_around, thread_page
from conversations.views.refusals import explain_refusals


@gzip_page
@login_required
@require_safe
def new(request: SignedInRequest) -> HttpResponse:
    return render(request, "conversations/conversation.html", page_context(request))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: SignedInRequest) -> HttpResponse:
    """List conversations; by POST, start one."""
    if request.method == "POST":
        return start_conversation(request)
    template = "_conversation_list" if request.htmx else "list"
    context = conversation_list(request.user, request.GET.get("before", ""))
    return render(request, f"conversations/{template}.html", context)


@gzip_page  # it contains nothing from the request: docs/security.md, V3
@login_required
@require_safe
def show(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a conversation's newest messages.

    `?before=` (a message id) shows the messages before that one; `?message=` the messages around one, of any version.
    """
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    form = PositionForm(request.GET)
    form.is_valid()
    before, message = form.cleaned_data.get("before"), form.cleaned_data.get("message")
    if message:
        context = thread_around(conversation, get_object_or_404(conversation.messages, pk=message))
        if context is None:
            # The browser keeps the URL's fragment, which names the message.
            find = form.cleaned_data.get("find")
            return redirect(conversation.get_absolute_url() + (f"?{urlencode({'find': find})}" if find else ""))
    elif before:
        context = thread_page(conversation, before=before)
    else:
        return render(request, "conversations/conversation.html", page_context(request, conversation))
    if request.htmx:
        return render(request, "conversations/_messages.html", context)
    context = {**conversation_list(request.user), **context, "conversation": conversation}
    return render(request, "conversations/earlier.html", context)


@login_required
@require_POST
@explain_refusals
def rename(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    form = RenameForm(request.POST)
    if form.is_valid():
        actions.rename(conversation=conversation, title=form.cleaned_data["title"])
    else:
        messages.error(request, "The title was not changed. Enter 1 to 80 characters.")
    return redirect(conversation)


@login_required
@require_POST
@explain_refusals
def delete(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    actions.delete(conversation=conversation)
    messages.success(request, "Conversation deleted.")
    return redirect("new")
