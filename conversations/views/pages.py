"""The context of the conversation page and of its sidebar."""

import uuid
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import mark_safe

from conversations import limits
from conversations.actions.attachments import FILES_PER_QUESTION
from conversations.inference.context_use import ContextUse, context_use
from conversations.inference.tokens_left import tokens_left
from conversations.models import Conversation, Message, User
from conversations.models.conversation import Placement, Tree
from conversations.pagination import take_page
from conversations.rendering import fragments
from conversations.request import SignedInRequest
from conversations.review.notices import review_notices
from conversations.views.attached import kept_files
from conversations.views.choices import choice_fields

CONVERSATIONS_PER_PAGE = 30
DRAFT = "draft"  # the key in the session of a text for the composer of the next page


def page_context(request: SignedInRequest, conversation: Conversation | None = None, **context: Any) -> dict[str, Any]:
    """Return the context of a conversation's page; without `conversation`, of the page for a new one."""
    thread_context = thread_page(conversation) if conversation else {}
    thread = [message for message, _ in thread_context.get("entries", [])]
    live = [message for message in thread if message.is_live]
    # The page shows these in their final form; the socket sends everything after them.
    finished = thread[: thread.index(live[0])] if live else thread
    choice = choice_fields(request.user, conversation, request.POST)
    model = choice["model"]
    sidebar = conversation_list(request.user, live=conversation is not None)
    socket_url = ""
    if conversation:
        shown = {"first": finished[0].pk, "seen": finished[-1].pk} if finished else {}
        newest = max([conversation, *sidebar["conversations"]], key=lambda listed: (listed.updated_at, listed.pk))
        shown |= {"listed": newest.cursor, "placement": conversation.placement}
        socket_url = f"/ws{conversation.get_absolute_url()}?{urlencode(shown)}"
    return {
        **sidebar,
        **thread_context,
        "conversation": conversation,
        "review_notices": review_notices(conversation) if conversation else [],
        "composer_url": reverse("send", args=[conversation.pk]) if conversation else reverse("conversations"),
        "composer_key": uuid.uuid4(),
        "composer_content": request.session.pop(DRAFT, ""),
        "composer_files": kept_files(request),
        "files_per_question": FILES_PER_QUESTION,
        "file_megabytes": settings.FILE_BYTES // 2**20,
        "live_generation": live[0].generation.pk if live else None,
        "socket_url": socket_url,
        "choice": choice,
        "context_use": _context_use(conversation, thread, complete=not thread_context["earlier"])
        if conversation
        else None,
        "tokens_left": tokens_left(request.user.pk, request.user),
        "model_name": model.label if model else "",
        "local_model": model is not None and model.is_embedded,
        "no_endpoint": not settings.MODELS,
        "no_access": model is None and bool(settings.MODELS),
        **context,
    }


def _context_use(conversation: Conversation, thread: list[Message], *, complete: bool) -> ContextUse | None:
    texts = [settings.SYSTEM_PROMPT, *(message.content for message in thread)] if complete else ()
    counts = (message.generation.counts for message in reversed(thread) if message.generation)
    return context_use(conversation.model, counts, texts)


def thread_page(conversation: Conversation, *, before: int | None = None, last: int | None = None) -> dict[str, Any]:
    """Return the context of a page of messages: the thread's last, or those before the message with the id `before`.

    The thread is the selected branch, or with `last` the branch that ends at that message. If `before` is not in it,
    the thread is the branch that ends at `before`.
    """
    tree = conversation.tree()
    path = tree.path_to(last or conversation.leaf_id)
    if before not in path:
        path = tree.path_to(before) or path
    return _page_of_path(conversation, tree, path, path.index(before) if before in path else len(path))


def thread_around(conversation: Conversation, message: Message) -> dict[str, Any] | None:
    """Return the context of a page of messages around `message`, of any version; None if the last page contains it."""
    tree = conversation.tree()
    path = tree.path_to(conversation.leaf_id)
    if message.pk in path[-fragments.PAGE :]:
        return None
    if message.pk not in path:
        path = tree.path_to(tree.newest_leaf(message.pk))
    return _page_of_path(conversation, tree, path, min(len(path), path.index(message.pk) + fragments.PAGE // 2))


def _page_of_path(conversation: Conversation, tree: Tree, path: list[int], end: int) -> dict[str, Any]:
    start = max(0, end - fragments.PAGE)
    return {
        "entries": fragments.entries(conversation.read(tree, path[start:end], whole=())),
        "earlier": mark_safe(fragments.earlier(conversation.pk, path[start])) if start else "",  # noqa: S308
        "later": path[end] if end < len(path) else None,
    }


def conversation_list(user: User, before: str = "", *, live: bool = False) -> dict[str, Any]:
    """Return the context of one page of a person's list: all pinned conversations and the newest others.

    `before` is the cursor of the last conversation on the page before, which has the pinned ones. With `live`, for a
    page whose socket keeps the list up to date, each conversation shows whether an answer is running in it.
    """
    found = Conversation.objects.visible_to(user)
    found = found.unpinned().older_than(before) if before else found.listed()
    if live:
        found = found.with_liveness()
    rows = list(found[: CONVERSATIONS_PER_PAGE + 1 + (0 if before else limits.PINNED)])
    pinned = [conversation for conversation in rows if conversation.placement == Placement.PINNED]
    page, last = take_page(rows[len(pinned) :], CONVERSATIONS_PER_PAGE)
    groups: dict[str, list[Conversation]] = {} if before else {"Pinned": [], "Today": []}
    for conversation in pinned + page:
        groups.setdefault(conversation.group, []).append(conversation)
    older_url = f"{reverse('conversations')}?{urlencode({'before': last.cursor})}" if last else ""
    return {
        "conversations": pinned + page,
        "groups": list(groups.items()),
        "older_page": bool(before),
        "older_url": older_url,
        "last_listed": last,
    }
