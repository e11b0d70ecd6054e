"""Commands about messages and their generations: by POST, answered by the socket, or by the page without script."""

import uuid
from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect

from conversations import actions
from conversations.forms import KeyForm, PromptForm
from conversations.models import Conversation, Generation, Message, Role
from conversations.rendering import fragments
from conversations.views.pages import DRAFT, page, thread_page


def within_daily_limit(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Say so, and keep what was typed, when a person has used up what they may ask in a day."""

    @wraps(view)
    def asked(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except actions.DailyLimitReached as reached:
            if request.htmx:
                return HttpResponse(fragments.composer_error(str(reached)), status=422)
            messages.error(request, str(reached))
            request.session[DRAFT] = request.POST.get("content", "")
            conversation = kwargs.get("pk")
            return redirect("conversation", conversation) if isinstance(conversation, uuid.UUID) else redirect("new")

    return asked


@within_daily_limit
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
@within_daily_limit
def send(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    form = PromptForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form, conversation)
    actions.send_message(user=request.user, conversation=conversation, **form.cleaned_data)
    return _done(request, conversation)


@login_required
@require_POST
@within_daily_limit
def regenerate(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask again for an answer, whether it failed (retry) or a person wants another."""
    message = get_object_or_404(Message.objects.visible_to(request.user), pk=pk, role=Role.ASSISTANT)
    actions.regenerate(user=request.user, message=message, key=_key(request))
    return _done(request, message.conversation)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
@within_daily_limit
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the form that edits a prompt; by POST, ask what it says in the prompt's place."""
    prompt = get_object_or_404(Message.objects.visible_to(request.user), pk=pk, role=Role.USER)
    if request.method != "POST":
        return _show_edit(request, prompt)
    form = PromptForm(request.POST)
    if not form.is_valid():
        return _show_edit(request, prompt, form)
    actions.edit(user=request.user, prompt=prompt, **form.cleaned_data)
    return _done(request, prompt.conversation)


@login_required
@require_POST
@within_daily_limit
def continue_answer(request: HttpRequest, pk: int) -> HttpResponse:
    message = get_object_or_404(Message.objects.visible_to(request.user), pk=pk, role=Role.ASSISTANT)
    actions.continue_answer(user=request.user, message=message, key=_key(request))
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


@login_required
@require_POST
@within_daily_limit
def answer_now(request: HttpRequest, pk: int) -> HttpResponse:
    generation = get_object_or_404(Generation.objects.visible_to(request.user), pk=pk)
    actions.answer_now(user=request.user, generation=generation, key=_key(request))
    return _done(request, generation.conversation)


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back a prompt that waits; its text goes back to where it was written."""
    generation = get_object_or_404(Generation.objects.visible_to(request.user), pk=pk)
    content = actions.cancel(generation=generation)
    if content is None:
        return _say(request, generation.conversation, "It is too late to cancel: the model has already started.")
    conversation = Conversation.objects.filter(pk=generation.conversation_id).first()
    if request.htmx and conversation:
        return HttpResponse(format_html("<p>{}</p>", content))
    request.session[DRAFT] = content
    url = conversation.get_absolute_url() if conversation else reverse("new")
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def _key(request: HttpRequest) -> uuid.UUID | None:
    form = KeyForm(request.POST)
    return form.cleaned_data["key"] if form.is_valid() else None


def _done(request: HttpRequest, conversation: Conversation) -> HttpResponse:
    """Answer a command whose effect the socket shows; without script the page does."""
    return HttpResponse(status=204) if request.htmx else redirect(conversation)


def _say(request: HttpRequest, conversation: Conversation, sentence: str) -> HttpResponse:
    """Say why a command was not carried out."""
    if request.htmx:
        return HttpResponse(fragments.composer_error(sentence), status=422)
    messages.warning(request, sentence)
    return redirect(conversation)


def _show_edit(request: HttpRequest, prompt: Message, form: PromptForm | None = None) -> HttpResponse:
    """Show the form that edits `prompt`; after one that was not valid, with what was typed and what is wrong."""
    edit = {
        "pk": prompt.pk,
        "content": request.POST.get("content", "") if form else prompt.content,
        "key": uuid.uuid4(),
        "error": form.first_error if form else "",
    }
    if request.htmx and form:
        return HttpResponse(fragments.edit_error(prompt.pk, form.first_error), status=422)
    if request.htmx:
        return render(request, "conversations/_edit.html", {"edit": edit, "conversation": prompt.conversation})
    # Without a script the thread is shown up to the prompt: what follows is about to be left.
    context = page(request, prompt.conversation, edit=edit, **thread_page(prompt.conversation, last=prompt.pk))
    return render(request, "conversations/edit.html", context, status=422 if form else 200)


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
