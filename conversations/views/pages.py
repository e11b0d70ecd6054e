"""What the conversation page and its sidebar need to know."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.http import urlencode
from django.utils.safestring import mark_safe

from conversations.inference import endpoint
from conversations.models import AuditEntry, Conversation, Message, User
from conversations.models.conversation import Tree
from conversations.rendering import fragments

PAGE = 30
REVIEWS = 2
DRAFT = "draft"  # in the session: a prompt that was taken back, for the composer of the next page


def page(request: HttpRequest, conversation: Conversation | None = None, **context: Any) -> dict[str, Any]:
    """Return the context of the conversation page; without `conversation`, of the page that begins one."""
    shown = thread_page(conversation) if conversation else {}
    # The page shows these in their final form; the socket brings everything after them.
    thread = [message for message, _ in shown.get("entries", [])]
    live = [message for message in thread if message.is_live]
    settled = thread[: thread.index(live[0])] if live else thread
    socket = f"/ws{reverse('conversation', args=[conversation.pk])}" if conversation else ""
    seen = f"?first={settled[0].pk}&seen={settled[-1].pk}" if settled else ""
    return {
        **listing(request.user),
        **shown,
        "conversation": conversation,
        "reviews": reviews_of(conversation) if conversation else [],
        "composer_url": reverse("send", args=[conversation.pk]) if conversation else reverse("conversations"),
        "composer_key": uuid.uuid4(),
        "composer_content": request.session.pop(DRAFT, ""),
        "live_generation": live[0].generation.pk if live else None,
        "socket_url": f"{socket}{seen}",
        "model_name": endpoint.name(),
        "local_model": endpoint.is_local(),
        "no_endpoint": not endpoint.name(),
        **context,
    }


def reviews_of(conversation: Conversation) -> Iterable[AuditEntry]:
    """Return the newest times the conversation was read by others, as far as its owner is told."""
    return AuditEntry.objects.told_to(conversation.owner_id).filter(conversation_id=conversation.pk)[:REVIEWS]


def thread_page(conversation: Conversation, *, before: int | None = None, last: int | None = None) -> dict[str, Any]:
    """Return a page of messages: those that end the thread, or stand before the message with the id `before`.

    With `last` the thread is the one that ends with this message. What `before` names may stand in a version that was
    left.
    """
    tree = conversation.tree()
    path = tree.path_to(last or conversation.leaf_id)
    if before not in path:
        path = tree.path_to(before) or path
    return _part(conversation, tree, path, path.index(before) if before in path else len(path))


def page_with(conversation: Conversation, message: Message) -> dict[str, Any] | None:
    """Return a page of messages with `message` in its middle, in whatever version; None if the newest page has it."""
    tree = conversation.tree()
    path = tree.path_to(conversation.leaf_id)
    if message.pk in path[-fragments.PAGE :]:
        return None
    if message.pk not in path:
        path = tree.path_to(tree.newest_leaf(message.pk))
    return _part(conversation, tree, path, min(len(path), path.index(message.pk) + fragments.PAGE // 2))


def _part(conversation: Conversation, tree: Tree, path: list[int], end: int) -> dict[str, Any]:
    start = max(0, end - fragments.PAGE)
    return {
        "entries": fragments.entries(conversation.read(tree, path[start:end])),
        "earlier": mark_safe(fragments.earlier(conversation.pk, path[start])) if start else "",  # noqa: S308
        "later": path[end] if end < len(path) else None,
    }


def listing(user: User, before: str = "") -> dict[str, Any]:
    """Return one page of a person's conversations, newest first, and the address of the next one ('' at the end).

    `before` is "<updated_at>_<id>" of the last one listed: a page costs the same however far back it lies.
    """
    rows = Conversation.objects.visible_to(user).newest_first()
    if cursor := _cursor(before):
        when, pk = cursor
        rows = rows.filter(Q(updated_at__lt=when) | Q(updated_at=when, pk__lt=pk))
    found = list(rows[: PAGE + 1])
    older = ""
    if len(found) > PAGE:
        last = found[PAGE - 1]
        older = f"{reverse('conversations')}?{urlencode({'before': f'{last.updated_at.isoformat()}_{last.pk}'})}"
    return {"conversations": found[:PAGE], "older_url": older}


def _cursor(text: str) -> tuple[datetime, uuid.UUID] | None:
    """Return a place in the list; None for none or for what is not one."""
    when, _, pk = text.rpartition("_")
    try:
        moment, key = parse_datetime(when), uuid.UUID(pk)
    except ValueError:
        return None
    return (moment, key) if moment and moment.tzinfo else None
