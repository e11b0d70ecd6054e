"""Commands about messages and their generations: all POST, answered by the socket, or by the page without script."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from conversations import actions
from conversations.forms import KeyForm, PromptForm
from conversations.models import Conversation, Generation, Message, Role
from conversations.rendering import fragments
from conversations.views.pages import page


def begin(request: HttpRequest) -> HttpResponse:
    """Begin a conversation with its first prompt; redirect to it."""
    form = PromptForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form)
    generation = actions.send_message(user=request.user, **form.cleaned_data)
    url = generation.conversation.get_absolute_url()
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


@login_required
@require_POST
def send(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    form = PromptForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form, conversation)
    generation = actions.send_message(user=request.user, conversation=conversation, **form.cleaned_data)
    return _show(request, generation)


@login_required
@require_POST
def regenerate(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask again for an answer, whether it failed (retry) or a person wants another."""
    answers = Message.objects.visible_to(request.user).filter(role=Role.ASSISTANT)
    message = get_object_or_404(answers, pk=pk)
    form = KeyForm(request.POST)
    key = form.cleaned_data["key"] if form.is_valid() else None
    actions.regenerate(user=request.user, message=message, key=key)
    return _done(request, message.conversation)


@login_required
@require_POST
def select(request: HttpRequest, pk: int) -> HttpResponse:
    message = get_object_or_404(Message.objects.visible_to(request.user), pk=pk)
    actions.select(message=message)
    return _done(request, message.conversation)


@login_required
@require_POST
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    generation = get_object_or_404(Generation.objects.visible_to(request.user), pk=pk)
    actions.stop(generation=generation)
    return _done(request, generation.conversation)


def _done(request: HttpRequest, conversation: Conversation) -> HttpResponse:
    """Answer a command whose effect the socket shows; without script the page does."""
    return HttpResponse(status=204) if request.htmx else redirect(conversation)


def _show(request: HttpRequest, generation: Generation) -> HttpResponse:
    """Answer a prompt with its two messages at once; the socket brings the same, and the page keeps one of each."""
    if not request.htmx:
        return redirect(generation.conversation)
    answer = generation.message
    articles = "".join(fragments.article(m, fragments.state_of(m)) for m in (answer.parent, answer))
    # Stop is for what runs, which may be an earlier answer while this prompt waits behind it.
    running = generation.conversation.generations.live().order_by("pk").first()
    parts = [
        fragments.append("messages", articles),
        fragments.composer_actions(running.pk if running else None),
        fragments.composer_error(""),
    ]
    return HttpResponse("".join(parts))


def _refuse(request: HttpRequest, form: PromptForm, conversation: Conversation | None = None) -> HttpResponse:
    """Say what is wrong with a prompt and keep what was typed."""
    if request.htmx:
        return HttpResponse(fragments.composer_error(form.first_error), status=422)
    context = page(
        request,
        conversation,
        composer_error=form.first_error,
        composer_content=request.POST.get("content", ""),
    )
    return render(request, "conversations/conversation.html", context, status=422)
