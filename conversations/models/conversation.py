import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from conversations.models import permissions
from conversations.models.generation import Generation
from conversations.models.legal_hold import LegalHold
from conversations.models.message import Message
from conversations.models.prepared import prepared

TITLE_CHARACTERS = 80


class ConversationQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> "ConversationQuerySet":
        """Keep what this person may open on the site: their own conversations."""
        return self.filter(owner=user)

    def reviewable_by(self, user: Any) -> "ConversationQuerySet":
        """Keep what is in this reviewer's field, whatever of it they may see; see `User.review_permissions`."""
        if not user.review_limited:
            return self.all()
        return self.filter(Exists(user.review_groups.filter(user=OuterRef("owner"))))

    def running(self) -> "ConversationQuerySet":
        """Keep those in which an answer waits or runs."""
        return self.filter(Exists(Generation.objects.live().filter(conversation=OuterRef("pk"))))

    def deletable(self) -> "ConversationQuerySet":
        """Leave out what a legal hold keeps, and what is being answered."""
        holds = LegalHold.objects.in_force()
        on_it, on_its_owner = holds.filter(conversation=OuterRef("pk")), holds.filter(user=OuterRef("owner"))
        return self.exclude(Exists(on_it)).exclude(Exists(on_its_owner)).exclude(pk__in=Conversation.objects.running())

    def listed(self) -> "ConversationQuerySet":
        """Newest first, each with `running`: whether an answer waits or runs in it."""
        live = Generation.objects.live().filter(conversation=OuterRef("pk"))
        return self.newest_first().annotate(running=Exists(live))

    def below(self, cursor: str) -> "ConversationQuerySet":
        """Keep what stands below a `Conversation.cursor`, newest first; all, if it is none.

        A page costs the same however far back it lies.
        """
        if place := place_of(cursor):
            when, pk = place
            return self.filter(Q(updated_at__lt=when) | Q(updated_at=when, pk__lt=pk))
        return self.all()

    def newest_first(self) -> "ConversationQuerySet":
        return self.order_by("-updated_at", "-id")


class Conversation(models.Model):
    """A tree of messages with one path through it, ending at `leaf`, that the page shows."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=TITLE_CHARACTERS)
    leaf = models.ForeignKey("Message", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(default=timezone.now)
    running: bool  # set by `ConversationQuerySet.listed`

    objects = ConversationQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = list(permissions.REVIEW.items())
        indexes = [
            models.Index(fields=["owner", "-updated_at", "-id"], name="conversation_newest_first"),
            models.Index(fields=["-updated_at", "-id"], name="conversation_newest_of_all"),
        ]

    def __str__(self) -> str:
        # Titles are the prompt's first words, so they are content: keep them out of logs and admin breadcrumbs.
        return f"Conversation {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("conversation", args=[self.pk])

    @property
    def cursor(self) -> str:
        """Return its place among the newest; `place_of` reads it."""
        return f"{self.updated_at.isoformat()}_{self.pk}"

    @property
    def group(self) -> str:
        """Return the heading this conversation stands under in the sidebar (days in the site's time zone)."""
        today = timezone.localdate()
        day = timezone.localtime(self.updated_at).date()
        if day >= today:
            return "Today"
        return "Yesterday" if day == today - timedelta(days=1) else "Earlier"

    def tree(self) -> "Tree":
        """Return the shape of this conversation; one query, without any text."""
        return Tree(_shape(self.pk))

    def statuses(self, messages: list[int]) -> list[tuple[int, int, str]]:
        """Return (message, generation, status) for each generation of these messages, the oldest first; one query."""
        return _statuses(self.pk, messages)

    def thread(self) -> list[Message]:
        """Return the messages from the first prompt to `leaf`, in order; see `read`."""
        tree = self.tree()
        return self.read(tree, tree.path_to(self.leaf_id))

    def read(self, tree: "Tree", ids: list[int], *, reasoning: bool = False) -> list[Message]:
        """Return these messages in this order, each with its generations, `versions` and `rating`; few queries.

        Generations are read before messages: one that is seen to have ended has its text in the message by then.
        What was thought is read with those of which it is not known how much it is, and with all if `reasoning`.
        """
        attempts = defaultdict(list)
        for generation in _attempts(self.pk, ids):
            generation.conversation = self
            attempts[generation.message_id].append(generation)
        by_id = {message.pk: message for message in (_messages if reasoning else _without_reasoning)(self.pk, ids)}
        for pk, message in by_id.items():
            message.conversation = self
            message.attempts, message.versions = attempts[pk], tree.versions(pk)
        if unknown := [pk for pk, m in by_id.items() if m.attempts and (m.is_live or m.reasoning_words is None)]:
            for pk, thought in _thoughts(self.pk, unknown):
                by_id[pk].reasoning = thought
        return [by_id[pk] for pk in ids if pk in by_id]  # what was deleted meanwhile is gone


@prepared
def visible(user: Any, conversation: Any) -> models.QuerySet:
    """Return the conversation of this id in a list, if this person (an id) may open it."""
    return Conversation.objects.visible_to(user).filter(pk=conversation)


@prepared
def _shape(conversation: Any) -> models.QuerySet:
    return Message.objects.filter(conversation=conversation).order_by("pk").values_list("pk", "parent_id")


@prepared
def _attempts(conversation: Any, messages: Any) -> models.QuerySet:
    return Generation.objects.filter(conversation=conversation, message__in=messages).defer("request").order_by("pk")


@prepared
def _statuses(conversation: Any, messages: Any) -> models.QuerySet:
    found = Generation.objects.filter(conversation=conversation, message__in=messages)
    return found.order_by("pk").values_list("message", "pk", "status")


@prepared
def _messages(conversation: Any, ids: Any) -> models.QuerySet:
    return Message.objects.filter(conversation=conversation, pk__in=ids).annotate(rating=F("feedback__rating"))


@prepared
def _without_reasoning(conversation: Any, ids: Any) -> models.QuerySet:
    found = Message.objects.filter(conversation=conversation, pk__in=ids)
    return found.annotate(rating=F("feedback__rating")).defer("reasoning")


@prepared
def _thoughts(conversation: Any, ids: Any) -> models.QuerySet:
    return Message.objects.filter(conversation=conversation, pk__in=ids).values_list("pk", "reasoning")


class Tree:
    """Which message of a conversation follows which: ids alone, so that a long one costs little."""

    def __init__(self, rows: Iterable[tuple[int, int | None]]) -> None:
        self._parents = dict(rows)
        self._children: dict[int | None, list[int]] = defaultdict(list)
        for pk, parent in self._parents.items():
            self._children[parent].append(pk)

    def path_to(self, pk: int | None) -> list[int]:
        """Return the ids from the first prompt to this message, in order."""
        path = []
        while pk in self._parents:
            path.append(pk)
            pk = self._parents[pk]
        return path[::-1]

    def versions(self, pk: int) -> list[int]:
        """Return all that could stand in this message's place, itself among them, oldest first."""
        return self._children[self._parents[pk]]

    def below(self, pk: int) -> list[int]:
        """Return this message and all that follow it, in any version."""
        found = [pk]
        for message in found:
            found += self._children.get(message, [])
        return found

    def newest_leaf(self, pk: int | None) -> int | None:
        """Return the end of the path that goes through this message and then always to the newest version.

        None is what the first prompt follows.
        """
        while newer := self._children.get(pk):
            pk = newer[-1]
        return pk


def place_of(cursor: str) -> tuple[datetime, uuid.UUID] | None:
    """Return when a conversation was last asked or answered in, and its id, from its `cursor`; None from none."""
    when, _, pk = cursor.rpartition("_")
    try:
        moment, key = parse_datetime(when), uuid.UUID(pk)
    except ValueError:
        return None
    return (moment, key) if moment and moment.tzinfo else None


def title_from(prompt: str) -> str:
    """Return the prompt's first words: at most `TITLE_CHARACTERS` characters, cut at a space where there is one."""
    line = " ".join(prompt[: TITLE_CHARACTERS * 10].split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    head = line[: TITLE_CHARACTERS - 1]
    words, space, _ = head.rpartition(" ")
    # Chinese and Japanese have no spaces: cut them where the room ends.
    return (words if space and len(words) > TITLE_CHARACTERS // 2 else head).rstrip(" ,;:.") + "…"
