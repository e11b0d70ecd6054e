from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from conversations.models import Conversation, Message, Role
from conversations.models.generation import total_thinking_seconds
from conversations.models.tree import Tree
from conversations.rendering import compare, outcomes, outlines, pool, timeline
from conversations.request import SignedInRequest


@login_required
@require_safe
def show(request: SignedInRequest, pk: int, other: int) -> HttpResponse:
    """Compare two versions of an answer, or the answers to two versions of a question."""
    one = get_object_or_404(Message.objects.visible_to(request.user).select_related("conversation"), pk=pk)
    conversation = one.conversation
    tree = conversation.tree()
    answers = _answers(conversation, tree, sorted((pk, other)))
    old, new = answers
    contents = [answer.current_text()[1] for answer in answers]
    html = [pool.render(content, f"c{number}", highlighted=False) for number, content in enumerate(contents, 1)]
    questions = None
    if old.parent_id != new.parent_id:
        questions = compare.texts(old.prompt.content, new.prompt.content)
    context = {
        "conversation": conversation,
        "question": old.prompt.content,
        "questions": questions,
        "sides": [_side(answer, tree) for answer in answers],
        "rows": compare.rows(*html),
    }
    return render(request, "conversations/compare.html", context)


def _answers(conversation: Conversation, tree: Tree, ids: list[int]) -> list[Message]:
    """Return the two answers to compare, given their ids or those of their questions. Raises Http404."""
    messages = conversation.messages.filter(Q(pk=ids[0]) | Q(pk=ids[1]))  # `in` fails for numbers that are too large
    found = {message.pk: message for message in messages.only("role", "parent")}
    if len(found) < 2:
        raise Http404
    roles = {message.role for message in found.values()}
    if roles == {Role.USER}:
        ids = [tree.newest_answer(pk) or 0 for pk in ids]
    answers = conversation.read(tree, ids, reasoning=True)
    if len(answers) < 2 or any(answer.role != Role.ASSISTANT or answer.parent_id is None for answer in answers):
        raise Http404
    old, new = answers
    if old.parent_id not in tree.versions(new.parent_id or 0):
        raise Http404
    return answers


def _side(answer: Message, tree: Tree) -> dict[str, Any]:
    outline = outlines.load_or_build(answer)
    seconds = total_thinking_seconds(answer.parts)
    versions = tree.versions(answer.pk)
    generation = answer.generation
    reasoning_url = f"{answer.path}reasoning/"
    return {
        "message": answer,
        "number": versions.index(answer.pk) + 1,
        "total": len(versions),
        "model": generation.model_label if generation else "",
        "depth": generation.get_depth_display() if generation else "",
        "outcome": generation.get_status_display() if generation else outcomes.imported_by(answer),
        "seconds": None if seconds is None or not outline else round(seconds),
        "outline": outline,
        "timeline": timeline.finished(answer.pk, outline, seconds, reasoning_url) if outline else None,
        "statistics": outcomes.statistics(answer.parts),
        "reasoning_url": reasoning_url,
    }
