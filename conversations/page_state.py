"""What an open page shows of a conversation, and what to send so that it shows what the database contains."""

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from conversations.generation.live import LiveText, live_text
from conversations.inference.context_use import ContextUse, context_use
from conversations.inference.tokens_left import tokens_left
from conversations.models import Conversation, Message, Status
from conversations.models.conversation import Placement, generation_statuses, parse_cursor, visible_conversation
from conversations.models.generation import LIVE, Counts
from conversations.models.tree import Tree
from conversations.rendering import composer, fragments, outcomes
from conversations.sidebar import Sidebar

MESSAGE_ID = re.compile(r"[0-9]{1,18}")


class NotVisible(Exception):
    """The conversation was deleted, or belongs to another user."""


@dataclass(slots=True, eq=False)
class ShownMessage:
    """What a page shows of a message: its newest generation and, while that is live, its live text."""

    generation_id: int | None
    live: LiveText | None = None
    delivered: bool = False  # the live text has ended, and all of it was sent


class View(NamedTuple):
    """What the database contains of a conversation."""

    tree: Tree
    path: list[int]  # ids of the messages from the first prompt to the leaf
    newest: dict[int, int]  # newest generation by message, of the messages that the page may show
    live: set[int]  # ids of live messages
    counts: list[Counts]  # of the newest generations, newest message first


class Difference(NamedTuple):
    """What a page does not show of a view."""

    view: View
    first: int  # index in the path of the first message to show
    reset: bool  # replace all messages by the newest ones
    removed: list[int]  # messages to remove
    changed: list[Message]  # messages to add or replace
    articles: str  # HTML of `changed`, without live text
    endings: dict[int, list[str]]  # fragments that show the outcome, by message
    sidebar: list[str]  # fragments that update the list of conversations
    context_use: ContextUse | None  # None if it is not known
    tokens_left: str | None  # None if nothing limits them


class PageState:
    """The state of one open page. `query` is that of its socket's URL.

    Its keys: `first` and `seen`, the ids of the first and last message that the page had in final form when it was
    loaded, `generation`, that of the newest generation of `seen`, `shown`, the ids of all messages that it has after
    these, `listed`, the cursor of the conversation in its list that changed last, and `placement`, that of its own
    conversation. `zone` is the time zone that the page shows times in.
    """

    def __init__(self, conversation_id: uuid.UUID, query: Mapping[str, str], zone: tzinfo | None = None) -> None:
        self.changed = asyncio.Event()  # something changed since the last comparison with the database
        self.shown: dict[int, ShownMessage] = {}
        top = parse_cursor(query.get("listed", ""))
        placement = {str(value): value for value in Placement.values}.get(query.get("placement", ""))
        self._sidebar = Sidebar(top, placement) if top else None
        self._conversation_id = conversation_id
        self._zone = zone
        self._query: Mapping[str, str] | None = query  # None after the first comparison with the database
        self._path: list[int] = []  # of what the page shows and, before `_first`, could load
        self._first = 0
        self._is_stale = False  # the page shows a branch that was left in another window
        self._left: list[int] = []  # the messages after `seen` that are no longer at their position
        self._running: int | None = -1  # the generation that its Stop button stops; at first unknown
        self._context_use: ContextUse | None = None  # what its meter shows; at first unknown
        self._tokens_left: str | None = None  # what its notice says; at first unknown

    @property
    def live_texts(self) -> dict[ShownMessage, LiveText]:
        return {shown: shown.live for shown in self.shown.values() if shown.live}

    def conversation_changed(self, _conversation_id: str) -> None:
        self.changed.set()

    def list_changed(self, conversation_id: str) -> None:
        """Note that a conversation in this user's list changed."""
        # `read` compares the page's own conversation every time.
        if self._sidebar and conversation_id != str(self._conversation_id):
            self._sidebar.note_change(conversation_id)
        self.changed.set()

    def read(self, user_id: int) -> Difference:
        """Compare the page with the database. Blocking: call it in a thread, and `apply` its result before the next.

        Raises `NotVisible`.
        """
        with timezone.override(self._zone):
            return self._read(user_id)

    def _read(self, user_id: int) -> Difference:
        # Before the database is read: a text that ends meanwhile is handled by the next comparison.
        ended = [pk for pk, shown in self.shown.items() if shown.live and shown.live.ended]
        conversation, view = self._view(user_id)
        same = common_length(self._path, view.path)
        reset = same < self._first or not self._path or len(view.path) - same > fragments.PAGE
        first = max(0, len(view.path) - fragments.PAGE) if reset else self._first
        removed = list(self.shown) if reset else self._path[same:] + self._left
        kept = {pk: shown for pk, shown in self.shown.items() if pk not in removed}
        changed, endings = [], {}
        for pk in view.path[first:]:
            shown = kept.get(pk)
            if shown is None or shown.generation_id != view.newest.get(pk):
                changed.append(pk)
            elif pk in view.live and (shown.live is None or pk in ended):
                changed.append(pk)  # it was requeued and is live again
            elif pk not in view.live and shown.live and shown.delivered:
                endings[pk] = _ending(conversation, view.tree, pk, shown.live)
        messages = conversation.read(view.tree, changed, whole=view.live) if changed else []
        articles = fragments.articles(messages)
        conversation.is_live = bool(view.live)
        sidebar = self._sidebar.update(user_id, conversation) if self._sidebar else []
        whole = len(messages) == len(view.path)
        texts = [settings.SYSTEM_PROMPT, *(message.content for message in messages)] if whole else ()
        use = context_use(conversation.model, view.counts, texts)
        left = tokens_left(user_id, conversation)
        return Difference(view, first, reset, removed, messages, articles, endings, sidebar, use, left)

    def apply(self, difference: Difference) -> list[str]:
        """Update this state by `difference`; return the frames that do the same to the page."""
        view, parts = difference.view, []
        for pk in difference.removed:
            self.shown.pop(pk, None)
        if difference.reset:
            first = difference.first
            earlier = fragments.earlier(self._conversation_id, view.path[first]) if first else ""
            if self._path or self._is_stale or earlier:
                parts.append(fragments.replace("messages", earlier))
            self._is_stale = False
        else:
            parts += [fragments.remove(f"message-{pk}") for pk in difference.removed]
        self._path, self._first, self._left = view.path, difference.first, []
        for pk, ending in difference.endings.items():
            parts += ending
            self.shown[pk] = ShownMessage(view.newest.get(pk))
        for message in difference.changed:
            self.shown[message.pk] = _show(message, view)
        if difference.articles:
            parts.append(fragments.append("messages", difference.articles))
        running = next((view.newest[pk] for pk in view.path if pk in view.live), None)
        if self._running != running:
            self._running = running
            parts.append(fragments.composer_actions(running))
        if difference.context_use and difference.context_use != self._context_use:
            self._context_use = difference.context_use
            parts.append(composer.context_meter(difference.context_use))
        if difference.tokens_left is not None and difference.tokens_left != self._tokens_left:
            self._tokens_left = difference.tokens_left
            parts.append(composer.tokens_left(difference.tokens_left))
        for pk, shown in self.shown.items():
            if shown.live and pk not in view.live and shown.live.status == Status.QUEUED:
                shown.live.end()  # stopped while queued, so no runner ends its text
        return fragments.frames([*parts, *difference.sidebar])

    def _view(self, user_id: int) -> tuple[Conversation, View]:
        if not (found := visible_conversation(user_id, self._conversation_id)):
            raise NotVisible
        [conversation] = found
        tree = conversation.tree()
        path = tree.path_to(conversation.leaf_id)
        query, self._query = self._query, None
        if query is not None:
            index = {str(pk): number for number, pk in enumerate(path)}
            first, seen = (index.get(query.get(name, "")) for name in ("first", "seen"))
            shown = [int(pk) for pk in MESSAGE_ID.findall(query.get("shown", ""))]
            if first is not None and seen is not None:
                self._first, self._path = first, path[: seen + 1]
                self._left = shown[common_length(shown, path[seen + 1 :]) :]
            else:
                self._is_stale = "seen" in query or shown != path[: len(shown)]
        last_page = max(0, len(path) - fragments.PAGE)
        window = path[min(self._first, last_page) if self._path else last_page :]
        newest: dict[int, int] = {}
        counts: dict[int, Counts] = {}
        live: set[int] = set()
        # The newest of a message comes last.
        for message, generation, status, *numbers in generation_statuses(conversation.pk, window):
            newest[message], counts[message] = generation, Counts(*numbers)
            (live.add if status in LIVE else live.discard)(message)
        if query is not None:
            self.shown = {pk: ShownMessage(newest.get(pk)) for pk in self._path[self._first :]}
            # Only the last answer can have been continued or tried again in the meantime.
            if self.shown and MESSAGE_ID.fullmatch(generation := query.get("generation", "")):
                self.shown[self._path[-1]] = ShownMessage(int(generation))
        newest_first = [counts[pk] for pk in reversed(window) if pk in counts]
        return conversation, View(tree, path, newest, live, newest_first)


def _ending(conversation: Conversation, tree: Tree, pk: int, sent: LiveText) -> list[str]:
    messages = conversation.read(tree, [pk], reasoning=True)
    return [part for message in messages for part in fragments.final_parts(message, sent.message_reasoning, sent.html)]


def _show(message: Message, view: View) -> ShownMessage:
    if message.pk not in view.live:
        return ShownMessage(view.newest.get(message.pk))
    generation_id = view.newest[message.pk]
    live = live_text(generation_id, message.pk)
    generation = message.generation
    if generation is not None and generation.pk == generation_id:  # else a newer one was queued since
        live.update(activity=outcomes.activity(generation))
        if generation.is_continuation:
            live.continue_from(message)
    return ShownMessage(generation_id, live)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the length of the longest common prefix."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
