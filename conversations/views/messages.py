"""Commands about messages and their generations, by POST. The socket shows the effect; without JavaScript, the page."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect

from conversations import actions
from conversations.forms import KeyForm, PromptForm, RegenerateForm
from conversations.models import Conversation, Generation, Message, Role
from conversations.rendering import fragments
from conversations.rendering.files import file_states
from conversations.request import SignedInRequest
from conversations.views.attached import request_ids, take_files
from conversations.views.lookups import get_answer
from conversations.views.pages import DRAFT, page_context, thread_page
from conversations.views.refusals import explain_refusals


@explain_refusals
def start_conversation(request: SignedInRequest) -> HttpResponse:
    """Create a conversation with its first prompt; redirect to it."""
    form, files = PromptForm(request.POST), take_files(request)
    if not form.is_valid():
        return _invalid_prompt(request, form)
    generation = actions.send_message(user=request.user, files=files, **form.cleaned_data)
    url = generation.conversation.get_absolute_url()
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


@login_required
@require_POST
@explain_refusals
def send(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    form, files = PromptForm(request.POST), take_files(request, conversation)
    if not form.is_valid():
        return _invalid_prompt(request, form, conversation)
    actions.send_message(user=request.user, conversation=conversation, files=files, **form.cleaned_data)
    if request.htmx and files:
        return HttpResponse("".join(fragments.remove(f"attached-{pk}") for pk in files))  # from the composer
    return _done(request, conversation)


@login_required
@require_POST
@explain_refusals
def regenerate(request: SignedInRequest, pk: int) -> HttpResponse:
    """Generate an answer again: after a failure, or as another version."""
    message = get_answer(request, pk)
    form = RegenerateForm(request.POST)
    given = form.cleaned_data if form.is_valid() else {}
    actions.regenerate(user=request.user, message=message, **given)
    return _done(request, message.conversation)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
@explain_refusals
def edit(request: SignedInRequest, pk: int) -> HttpResponse:
    """Show the form that edits a prompt; by POST, add the edited prompt as a new version."""
    prompt = get_object_or_404(Message.objects.visible_to(request.user), pk=pk, role=Role.USER)
    if request.method != "POST":
        return _show_edit(request, prompt)
    form, files = PromptForm(request.POST), take_files(request, prompt.conversation)
    if not form.is_valid():
        return _show_edit(request, prompt, form)
    without = request_ids(request, "without")
    actions.edit(user=request.user, prompt=prompt, files=files, without=without, **form.cleaned_data)
    return _done(request, prompt.conversation)


@login_required
@require_POST
@explain_refusals
def continue_answer(request: SignedInRequest, pk: int) -> HttpResponse:
    message = get_answer(request, pk)
    actions.continue_answer(user=request.user, message=message, key=_key(request))
    return _done(request, message.conversation)


@login_required
@require_POST
def select(request: SignedInRequest, pk: int) -> HttpResponse:
    message = get_object_or_404(Message.objects.visible_to(request.user), pk=pk)
    actions.select(message=message)
    if request.htmx:
        return HttpResponse(status=204)
    return redirect(message)


@login_required
@require_POST
def stop(request: SignedInRequest, pk: int) -> HttpResponse:
    generation = get_object_or_404(Generation.objects.visible_to(request.user), pk=pk)
    actions.stop(generation=generation)
    return _done(request, generation.conversation)


@login_required
@require_POST
@explain_refusals
def answer_now(request: SignedInRequest, pk: int) -> HttpResponse:
    generation = get_object_or_404(Generation.objects.visible_to(request.user), pk=pk)
    actions.answer_now(user=request.user, generation=generation, key=_key(request))
    return _done(request, generation.conversation)


@login_required
@require_POST
@explain_refusals
def cancel(request: SignedInRequest, pk: int) -> HttpResponse:
    """Cancel a queued prompt, and return its text to the composer."""
    generation = get_object_or_404(Generation.objects.visible_to(request.user), pk=pk)
    cancelled = actions.cancel(generation=generation)
    if cancelled is None:
        error = "It is too late to cancel. The model has already started."
        if request.htmx:
            return HttpResponse(error, status=409, content_type="text/plain")
        messages.warning(request, error)
        return redirect(generation.conversation)
    content, files = cancelled
    conversation = Conversation.objects.filter(pk=generation.conversation_id).first()
    if request.htmx and conversation:
        return render(request, "conversations/_cancelled.html", {"content": content, "files": file_states(files)})
    request.session[DRAFT] = content
    url = conversation.get_absolute_url() if conversation else reverse("new")
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def _key(request: SignedInRequest) -> uuid.UUID | None:
    form = KeyForm(request.POST)
    return form.cleaned_data["key"] if form.is_valid() else None


def _done(request: SignedInRequest, conversation: Conversation) -> HttpResponse:
    """Return the response to a command. For htmx it has no content: the socket brings the effect."""
    return HttpResponse(status=204) if request.htmx else redirect(conversation)


def _show_edit(request: SignedInRequest, prompt: Message, form: PromptForm | None = None) -> HttpResponse:
    """Show the form that edits `prompt`; with an invalid `form`, its text and its first error."""
    edit = {
        "pk": prompt.pk,
        "content": request.POST.get("content", "") if form else prompt.content,
        "key": uuid.uuid4(),
        "error": form.first_error if form else "",
        "files": file_states(prompt.attachments.with_files()),
    }
    if request.htmx and form:
        return HttpResponse(fragments.edit_error(prompt.pk, form.first_error), status=422)
    if request.htmx:
        return render(request, "conversations/_edit.html", {"edit": edit, "conversation": prompt.conversation})
    # Without JavaScript, show the thread up to the prompt: the new version will replace the rest.
    context = page_context(request, prompt.conversation, edit=edit, **thread_page(prompt.conversation, last=prompt.pk))
    return render(request, "conversations/edit.html", context, status=422 if form else 200)


def _invalid_prompt(
    request: SignedInRequest, form: PromptForm, conversation: Conversation | None = None
) -> HttpResponse:
    """Show the first error of a prompt and keep its text."""
    if request.htmx:
        return HttpResponse(fragments.composer_error(form.first_error), status=422)
    context = page_context(
        request,
        conversation,
        composer_error=form.first_error,
        composer_content=request.POST.get("content", ""),
    )
    return render(request, "conversations/conversation.html", context, status=422)
