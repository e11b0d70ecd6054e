"""What the conversation page and its sidebar need to know."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import mark_safe

from conversations.inference import endpoint
from conversations.models import Conversation, Message, User
from conversations.models.conversation import Tree
from conversations.rendering import fragments
from conversations.review.models import AuditEntry

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
    seen = {"first": settled[0].pk, "seen": settled[-1].pk} if settled else {}
    listed = listing(request.user, live=conversation is not None)
    if conversation and listed["conversations"]:
        seen["listed"] = listed["conversations"][0].cursor
    return {
        **listed,
        **shown,
        "conversation": conversation,
        "reviews": reviews_of(conversation) if conversation else [],
        "composer_url": reverse("send", args=[conversation.pk]) if conversation else reverse("conversations"),
        "composer_key": uuid.uuid4(),
        "composer_content": request.session.pop(DRAFT, ""),
        "live_generation": live[0].generation.pk if live else None,
        "socket_url": f"{socket}?{urlencode(seen)}" if conversation else "",
        "model_name": endpoint.name(),
        "local_model": endpoint.is_local(),
        "no_endpoint": not endpoint.name(),
        **context,
    }


def reviews_of(conversation: Conversation) -> Iterable[AuditEntry]:
    """Return the newest times the conversation was read by others, as far as its owner is told."""
    return AuditEntry.objects.visible_to_owner(conversation.owner_id).filter(conversation_id=conversation.pk)[:REVIEWS]


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


def listing(user: User, before: str = "", *, live: bool = False) -> dict[str, Any]:
    """Return one page of a person's conversations, newest first, and the address of the next one ('' at the end).

    `before` is the cursor of the last one listed. `live` is for a page whose socket keeps the list true: it tells where
    an answer runs.
    """
    rows = Conversation.objects.visible_to(user).below(before)
    found = list((rows.listed() if live else rows.newest_first())[: PAGE + 1])
    older = ""
    if len(found) > PAGE:
        older = f"{reverse('conversations')}?{urlencode({'before': found[PAGE - 1].cursor})}"
    return {"conversations": found[:PAGE], "older_page": bool(before), "older_url": older}
