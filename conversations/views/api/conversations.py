"""The token itself, models, conversations: list, read, search and export."""

import uuid
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Length
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from conversations.export import stream_json
from conversations.forms import SearchForm
from conversations.models import Conversation, Message
from conversations.models.access import allowed_models
from conversations.models.conversation import LIST_ORDER, parse_cursor
from conversations.pagination import take_page
from conversations.rendering.snippets import snippet
from conversations.views.api.records import conversation_record, message_record
from conversations.views.api.resources import ApiError, ApiRequest, flag, invalid, json_response, number
from conversations.views.export_parts import TOO_MANY, ExportParts, TooManyExports

CONVERSATIONS, MOST_CONVERSATIONS = 30, 100  # on a page
MESSAGES, MOST_MESSAGES = 20, 50
MOST_CHARACTERS = 2_000_000  # of the messages on a page, unless it is one alone: they are in memory as a whole
RESULTS = 20


def describe(request: ApiRequest) -> HttpResponse:
    """Describe the token."""
    token = request.token
    return json_response(
        {
            "site": settings.SITE_NAME,
            "username": token.owner.username,
            "token": {"name": token.name, "scopes": token.scopes.split(), "expires_at": token.expires_at},
            "openapi": reverse("api:openapi"),
        }
    )


def list_models(request: ApiRequest) -> HttpResponse:
    """List the models that the owner may use; the first is the default."""
    models = [
        {
            "id": model.id,
            "label": model.label,
            "description": model.description,
            "depths": list(model.depths),
            "images": model.profile.images,
            "context_tokens": model.context_tokens,
        }
        for model in allowed_models(request.token.owner).values()
    ]
    return json_response({"models": models})


def list_conversations(request: ApiRequest) -> HttpResponse:
    """List conversations: the pinned, the others, the archived, each newest first; `cursor` is that of a page."""
    found = Conversation.objects.visible_to(request.token.owner).order_by(*LIST_ORDER)
    if cursor := request.GET.get("cursor", ""):
        found = found.filter(_after(cursor))
    page, last = take_page(found, number(request, "limit", default=CONVERSATIONS, most=MOST_CONVERSATIONS))
    # With Z instead of +00:00, it can be put into an address as it is.
    following = f"{last.placement}_{last.cursor}".replace("+00:00", "Z") if last else None
    return json_response({"conversations": [conversation_record(each) for each in page], "cursor": following})


def _after(cursor: str) -> Q:
    """Match what comes after a page's last conversation, in the order of the index on these columns."""
    placement, _, rest = cursor.partition("_")
    parsed = parse_cursor(rest)
    if placement not in ("0", "1", "2") or not parsed:
        invalid("cursor must be that of a page.")
    updated_at, pk = parsed
    older = Q(updated_at__lt=updated_at) | Q(updated_at=updated_at, pk__lt=pk)
    return Q(placement__lte=placement) & (Q(placement__lt=placement) | older)


def read_conversation(request: ApiRequest, pk: uuid.UUID) -> HttpResponse:
    """Return a conversation and a page of its messages: those after the message `after`, oldest first.

    They are of the branch that the page shows or, with `message`, of the one with that message and its newest replies.
    There are fewer than `limit` if they have more than `MOST_CHARACTERS`.
    """
    conversations = Conversation.objects.visible_to(request.token.owner).select_related("instructions")
    conversation = get_object_or_404(conversations, pk=pk)
    tree = conversation.tree()
    path = tree.path_to(_branch(request, tree, conversation))
    after = number(request, "after", default=0, most=2**62)
    if after and after not in path:
        invalid("after must be a message of this branch.")
    start = path.index(after) + 1 if after else 0
    limit = number(request, "limit", default=MESSAGES, most=MOST_MESSAGES)
    reasoning = flag(request, "reasoning")
    page = _that_fit(path[start : start + limit], reasoning=reasoning)
    messages = conversation.read(tree, page, reasoning=reasoning)
    return json_response(
        {
            **conversation_record(conversation),
            "instructions": conversation.instructions.content if conversation.instructions else None,
            "messages": [message_record(message, reasoning=reasoning) for message in messages],
            "after": page[-1] if page and page[-1] != path[-1] else None,
        }
    )


def _that_fit(ids: list[int], *, reasoning: bool) -> list[int]:
    """Return the first of these messages that fit on a page, at least one."""
    size = Length("content") + Length("reasoning") if reasoning else Length("content")
    sizes = dict(Message.objects.filter(pk__in=ids).values_list("pk", size))
    total = 0
    for index, pk in enumerate(ids):
        total += sizes.get(pk, 0)
        if index and total > MOST_CHARACTERS:
            return ids[:index]
    return ids


def _branch(request: ApiRequest, tree: Any, conversation: Conversation) -> int | None:
    message = number(request, "message", default=0, most=2**62)
    if not message:
        return conversation.leaf_id
    if not tree.path_to(message):
        raise ApiError(HTTPStatus.NOT_FOUND, "This conversation has no such message.")
    return tree.newest_leaf(message)


def export_conversation(request: ApiRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Return the file that the site's page exports as JSON: with reasoning, and of the branch that is shown.

    Without reasoning with `reasoning=false`, and all messages with `versions=all`.
    """
    conversations = Conversation.objects.visible_to(request.token.owner).select_related("instructions", "folder")
    conversation = get_object_or_404(conversations, pk=pk)
    reasoning, versions = flag(request, "reasoning", default=True), request.GET.get("versions", "shown")
    if versions not in ("shown", "all"):
        invalid("versions must be shown or all.")
    if request.method == "HEAD":
        return HttpResponse(content_type="application/json")
    parts = stream_json(conversation, reasoning=reasoning, versions=versions == "all")
    try:
        limited = ExportParts(request.token.owner_id, parts)
    except TooManyExports:
        raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, "too_many_exports") from None
    return StreamingHttpResponse(limited, content_type="application/json")


def search(request: ApiRequest) -> HttpResponse:
    """List the questions and answers that contain all words of `q`, newest first; with reasoning."""
    form = SearchForm({"q": request.GET.get("q", "")})
    if not form.is_valid():
        invalid(str(form.errors["q"][0]))
    query, before = form.cleaned_data["q"], number(request, "before", default=0, most=2**62)
    found = Message.objects.visible_to(request.token.owner).found_anywhere(query, RESULTS + 1, before)
    page, last = take_page(found, RESULTS)
    return json_response(
        {"results": [_result(message, query) for message in page], "before": last.pk if last else None}
    )


def _result(message: Message, query: str) -> dict[str, Any]:
    text = message.beginning if message.in_content else message.thought
    return {
        "conversation": str(message.conversation_id),
        "title": message.conversation.title,
        "message": message.pk,
        "role": message.role,
        "found_in": "content" if message.in_content else "reasoning",
        "text": "".join(part for part, _ in snippet(text, query)),
        "created_at": message.created_at,
    }
