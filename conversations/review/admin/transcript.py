import uuid

from django import forms
from django.db.models import prefetch_related_objects
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from conversations.forms import FindForm
from conversations.models import Conversation, Instructions, Message, Role
from conversations.models.permissions import READ, REASONING, full
from conversations.rendering import fragments, reading
from conversations.rendering.message_state import State
from conversations.review import cases, queue
from conversations.review.admin import access, files, shares
from conversations.review.admin import queue as queue_pages
from conversations.review.admin.access import CaseRequest
from conversations.review.models import AuditEntry

PREVIOUS_REVIEWS = 20


class BranchForm(forms.Form):
    """The id of a message on the branch to show, and of an answer to show with its reasoning."""

    message = forms.IntegerField(required=False, min_value=1)
    reasoning = forms.IntegerField(required=False, min_value=1)


@access.require_permission(READ)
@access.require_case
def show(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a conversation as its owner reads it: the branch through `?message=`, or the one its owner has selected.

    `?reasoning=` shows the reasoning of one answer, with the permission for it. Each access is recorded first.
    """
    conversation = get_object_or_404(Conversation.objects.reviewable_by(request.user).select_related("owner"), pk=pk)
    form = BranchForm(request.GET)
    if not form.is_valid():
        raise Http404
    actor = access.actor(request)
    may_read_reasoning = request.user.has_perm(full(REASONING))
    with_reasoning = _message(conversation, form.cleaned_data["reasoning"]) if may_read_reasoning else None
    selected = with_reasoning or _message(conversation, form.cleaned_data["message"])
    cases.record_conversation_read(actor=actor, case=request.case, conversation=conversation)
    if with_reasoning:
        cases.record_reasoning_read(actor=actor, case=request.case, message=with_reasoning)
    tree = conversation.tree()
    leaf = tree.newest_leaf(selected.pk) if selected else conversation.leaf_id
    messages = conversation.read(tree, tree.path_to(leaf))
    prefetch_related_objects(messages, "feedback")
    entries = fragments.entries(messages, readonly=True)
    for message, state in entries:
        state.files = files.states(message)
        state.timeline, state.read_url = None, ""  # an outline is reasoning
        if with_reasoning and message.pk == with_reasoning.pk:
            state.reasoning_url, state.reasoning = "", state.reasoning or message.reasoning
            state.read_url = reverse("admin:review_reasoning", args=[pk, message.pk])
        elif message.role == Role.ASSISTANT:
            url = f"{reverse('admin:review_transcript', args=[pk])}?reasoning={message.pk}#message-{message.pk}"
            _hide_reasoning(state, url if may_read_reasoning else "")
    reviews = AuditEntry.objects.filter(conversation_id=pk).order_by("-number")
    item = queue_pages.claimed_item(request.user, conversation)
    verdicts = conversation.queue_items.resolved().select_related("resolved_by").order_by("-resolved_at")
    context = access.context(
        request,
        "Transcript",
        conversation=conversation,
        entries=entries,
        instructions=Instructions.objects.about([conversation]),
        item=item,
        position=queue.position(request.user, item) if item else None,
        verdict_form=queue_pages.verdict_form(request, item) if item else None,
        shares=shares.shares_of(conversation),
        end_form=shares.EndForm(),
        verdicts=verdicts[:PREVIOUS_REVIEWS],
        earlier_reviews=reviews[1 : PREVIOUS_REVIEWS + 1],  # the first is this one
    )
    return render(request, "review/admin/transcript.html", context)


@access.require_permission(READ, REASONING)
@access.require_case
def read(request: CaseRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Show the reasoning of an answer by steps, as its owner reads it. Each access is recorded first."""
    conversation = get_object_or_404(Conversation.objects.reviewable_by(request.user), pk=pk)
    answer = get_object_or_404(
        conversation.messages.select_related("conversation", "parent"), pk=message, role=Role.ASSISTANT
    )
    form = FindForm(request.GET)
    query = form.cleaned_data["q"] if form.is_valid() else ""
    actor = access.actor(request)
    cases.record_conversation_read(actor=actor, case=request.case, conversation=conversation)
    cases.record_reasoning_read(actor=actor, case=request.case, message=answer)
    back = f"{reverse('admin:review_transcript', args=[pk])}?message={answer.pk}#message-{answer.pk}"
    context = access.context(
        request,
        "Reasoning",
        **reading.page_context(answer, query),
        conversation=conversation,
        back_url=back,
        back_label="Back to the transcript",
    )
    return render(request, "review/admin/reasoning.html", context)


def _message(conversation: Conversation, pk: int | None) -> Message | None:
    return get_object_or_404(conversation.messages.select_related("conversation"), pk=pk) if pk else None


def _hide_reasoning(state: State, url: str) -> None:
    """Remove the reasoning from a message's state, and link to `url` if there was any."""
    state.reasoning_url = url if state.reasoning_words else ""
    state.reasoning, state.reasoning_words = "", 0
