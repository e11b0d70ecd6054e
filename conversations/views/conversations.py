"""Pages: a new conversation, one conversation, rows of the list; rename, pin, archive and move."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import escape
from django.utils.http import urlencode
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from conversations import actions
from conversations.forms import ArchiveForm, PinForm, PositionForm, PromptChoiceForm, RenameForm
from conversations.models import Conversation
from conversations.rendering import fragments
from conversations.request import SignedInRequest
from conversations.views import organise
from conversations.views.lookups import is_open, path_of
from conversations.views.messages import start_conversation
from conversations.views.pages import (
    CONVERSATIONS_PER_PAGE,
    conversation_list,
    page_context,
    thread_around,
    thread_page,
)
from conversations.views.redirects import redirect_back
from conversations.views.refusals import explain_refusals_in_form, in_form
from conversations.views.saved_prompts import get_prompt


@gzip_page
@login_required
@require_safe
def new(request: SignedInRequest) -> HttpResponse:
    """Show the page to ask; with `?prompt=`, the id of a saved prompt, its text is in the composer."""
    form, saved = PromptChoiceForm(request.GET), ""
    if form.is_valid() and (pk := form.cleaned_data["prompt"]):
        saved = get_prompt(request, pk).text
    context = page_context(request)
    return render(request, "conversations/conversation.html", context | ({"composer_content": saved} if saved else {}))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: SignedInRequest) -> HttpResponse:
    """List conversations, of one folder with `?folder=`; by POST, start one.

    For htmx, return rows of the list: those of a folder, or what follows the cursor `?before=`.
    """
    if request.method == "POST":
        return start_conversation(request)
    if not request.htmx:
        return organise.show(request)
    if folder := organise.chosen_folder(request):
        rows = Conversation.objects.visible_to(request.user).filter(folder=folder).unpinned()
        return render(request, "conversations/_folder_rows.html", {"rows": rows[:CONVERSATIONS_PER_PAGE]})
    context = conversation_list(request.user, request.GET.get("before", ""))
    return render(request, "conversations/_conversation_list.html", context)


@gzip_page  # it contains nothing from the request: docs/security.md, V3
@login_required
@require_safe
def show(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a conversation's newest messages.

    `?before=` (a message id) shows the messages before that one; `?message=` the messages around one, of any version.
    `?find=` marks words in the message `?message=` or, on the page of the newest, `?found=`.
    """
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    form = PositionForm(request.GET)
    form.is_valid()
    before, message, find = (form.cleaned_data.get(name) for name in ("before", "message", "find"))
    if message:
        context = thread_around(conversation, get_object_or_404(conversation.messages, pk=message))
        if context is None:
            # The browser keeps the URL's fragment, which names the message.
            query = f"?{urlencode({'found': message, 'find': find})}" if find else ""
            return redirect(conversation.get_absolute_url() + query)
    elif before:
        context = thread_page(conversation, before=before)
    else:
        context = page_context(request, conversation)
        fragments.mark_words(context["entries"], form.cleaned_data.get("found"), find)
        return render(request, "conversations/conversation.html", context)
    if request.htmx:
        return render(request, "conversations/_messages.html", context)
    fragments.mark_words(context["entries"], message, find)
    context = {**conversation_list(request.user), **context, "conversation": conversation}
    return render(request, "conversations/earlier.html", context)


@login_required
@require_POST
@explain_refusals_in_form
def rename(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = _own(request, pk)
    form = RenameForm(request.POST)
    if form.is_valid():
        actions.rename(conversation=conversation, title=form.cleaned_data["title"])
        return _done(request, conversation, "Renamed.")
    error = "The title was not changed. Enter 1 to 80 characters."
    if request.htmx:
        return in_form(error)
    messages.error(request, error)
    return redirect(conversation)


@login_required
@require_POST
@explain_refusals_in_form
def pin(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    conversation, pinned = _own(request, pk), _valid(PinForm(request.POST))["pinned"]
    actions.pin(conversation=conversation, pinned=pinned)
    return _done(request, conversation, "Pinned." if pinned else "Unpinned.")


@login_required
@require_POST
@explain_refusals_in_form
def archive(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    conversation, archived = _own(request, pk), _valid(ArchiveForm(request.POST))["archived"]
    actions.archive(conversation=conversation, archived=archived)
    return _done(request, conversation, "Archived." if archived else "Moved back to your conversations.")


@login_required
@require_POST
@explain_refusals_in_form
def move(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Move a conversation into the folder with the id `folder`, or out of any."""
    conversation, folder = _own(request, pk), organise.folder_to_move_to(request)
    actions.move(user=request.user, ids=[conversation.pk], folder=folder)
    return _done(request, conversation, "Moved.")


def _own(request: SignedInRequest, pk: uuid.UUID) -> Conversation:
    return get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)


def _valid(form: Form) -> dict[str, Any]:
    """Return the data of a form whose fields the site's pages always fill in."""
    if not form.is_valid():
        raise BadRequest(f"{type(form).__name__}: {', '.join(form.errors)}")
    return form.cleaned_data


def _done(request: SignedInRequest, conversation: Conversation, sentence: str) -> HttpResponse:
    """Return the response to a change of a conversation's row in the list.

    For htmx it is what the socket sends too: the page for a new conversation has none.
    """
    if not request.htmx:
        return redirect_back(request, conversation.get_absolute_url())
    changed = get_object_or_404(Conversation.objects.visible_to(request.user).with_liveness(), pk=conversation.pk)
    if path_of(request) == reverse("new"):
        changed.is_live = False  # nothing would tell the page of the end
    parts = [fragments.replace("announcer", escape(sentence))]
    if is_open(request, changed):
        parts += [fragments.title(changed.title), fragments.placement(changed)]
    if changed.is_archived:
        return _fragments(*parts, fragments.remove(f"listed-{changed.pk}"))
    return _fragments(*parts, fragments.listed(changed, changed.pk if is_open(request, changed) else None))


def _fragments(*parts: str) -> HttpResponse:
    return HttpResponse("".join(parts))
