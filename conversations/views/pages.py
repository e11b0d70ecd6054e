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
from conversations.models import Conversation, Folder, Message, User
from conversations.models.conversation import Placement
from conversations.models.tree import Tree
from conversations.pagination import take_page
from conversations.rendering import fragments
from conversations.request import SignedInRequest
from conversations.review.notices import review_notices
from conversations.views.attached import files_in_composer
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
    sidebar = conversation_list(request.user, own=conversation)
    socket_url = ""
    if conversation:
        shown = {"first": finished[0].pk, "seen": finished[-1].pk} if finished else {}
        if finished and (generation := finished[-1].generation):
            shown["generation"] = generation.pk
        newest = max([conversation, *_newest(request.user, sidebar)], key=lambda listed: (listed.updated_at, listed.pk))
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
        "composer_files": files_in_composer(request, conversation),
        "files_per_question": FILES_PER_QUESTION,
        "file_bytes": settings.FILE_BYTES,
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


def conversation_list(user: User, before: str = "", *, own: Conversation | None = None) -> dict[str, Any]:
    """Return the context of one page of a person's list: all pinned conversations, folders and the newest others.

    `before` is the cursor of the last conversation on the page before, which has what is pinned and the folders. `own`
    is the conversation of the page: its folder is open, and as the page's socket keeps the list up to date, each
    conversation shows whether an answer is running in it.
    """
    listed = Conversation.objects.visible_to(user)
    if own:
        listed = listed.with_liveness()
    pinned = [] if before else list(listed.pinned().newest_first()[: limits.PINNED])
    page, last = take_page(listed.filter(folder=None).unpinned().older_than(before), CONVERSATIONS_PER_PAGE)
    groups: dict[str, list[Conversation]] = {} if before else {"Pinned": [], "Today": []}
    for conversation in pinned + page:
        groups.setdefault(conversation.group, []).append(conversation)
    older_url = f"{reverse('conversations')}?{urlencode({'before': last.cursor})}" if last else ""
    open_folder = own.folder_id if own and own.placement == Placement.LISTED else None
    return {
        "conversations": pinned + page,
        "groups": list(groups.items()),
        "folders": [] if before else list(Folder.objects.visible_to(user).order_by("key")),
        "open_folder": open_folder,
        "in_folder": list(listed.filter(folder=open_folder).unpinned()[:CONVERSATIONS_PER_PAGE]) if open_folder else [],
        "older_page": bool(before),
        "older_url": older_url,
        "last_listed": last,
    }


def _newest(user: User, sidebar: dict[str, Any]) -> list[Conversation]:
    """Return conversations with the one that has changed last, of those in a person's list: it can be in a folder."""
    listed: list[Conversation] = sidebar["conversations"]
    return [*listed, *Conversation.objects.visible_to(user).unpinned()[:1]] if sidebar["folders"] else listed
