import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from conversations.models import Conversation, Message, Role
from conversations.models.permissions import READ, REASONING, full
from conversations.rendering import fragments
from conversations.rendering.fragments import State
from conversations.review import cases
from conversations.review.admin import access, queue
from conversations.review.models import AuditEntry


@access.may(READ)
@access.with_case
def show(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a conversation as its owner reads it, on the path through `?message=` (its own, without).

    What the model thought about one answer is shown by `?reasoning=`, to who may read it, and each is written down.
    """
    conversation = get_object_or_404(Conversation.objects.reviewable_by(request.user).select_related("owner"), pk=pk)
    actor = access.actor(request)
    may_reason = request.user.has_perm(full(REASONING))
    thought = _message(conversation, request.GET.get("reasoning")) if may_reason else None
    chosen = thought or _message(conversation, request.GET.get("message"))
    cases.open_conversation(actor=actor, case=request.case, conversation=conversation)
    if thought:
        cases.open_reasoning(actor=actor, case=request.case, message=thought)
    tree = conversation.tree()
    leaf = tree.newest_leaf(chosen.pk) if chosen else conversation.leaf_id
    entries = fragments.entries(conversation.read(tree, tree.path_to(leaf)), readonly=True)
    here = reverse("admin:review_transcript", args=[pk])
    for message, state in entries:
        _fold(message, state, here, may_reason, shown=thought is not None and thought.pk == message.pk)
    context = access.context(
        request,
        "Transcript",
        conversation=conversation,
        entries=entries,
        item=queue.mine(request, conversation).first(),
        verdict_form=queue.VerdictForm(),
        verdicts=conversation.queue_items.resolved().select_related("resolved_by").order_by("-resolved_at")[:20],
        earlier_reviews=AuditEntry.objects.filter(conversation_id=pk).order_by("-number")[1:21],
        show_nav=False,
    )
    return render(request, "review/admin/transcript.html", context)


def _message(conversation: Conversation, pk: str | None) -> Message | None:
    if not pk:
        return None
    if not pk.isdecimal():
        raise Http404
    return get_object_or_404(conversation.messages.select_related("conversation"), pk=pk)


def _fold(message: Message, state: State, here: str, may_reason: bool, *, shown: bool) -> None:
    """Leave out what the model thought, unless it was asked for; whoever may ask gets the address that asks."""
    if message.role != Role.ASSISTANT:
        return
    has_thought = bool(state.reasoning_words)
    state.reasoning_url = ""
    if shown:
        state.reasoning = state.reasoning or message.reasoning
        return
    state.reasoning, state.reasoning_words = "", 0
    if has_thought and may_reason:
        state.reasoning_url = f"{here}?reasoning={message.pk}#message-{message.pk}"
