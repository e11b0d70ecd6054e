import uuid
from collections import defaultdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

TITLE_CHARACTERS = 80


class ConversationQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> "ConversationQuerySet":
        """Keep what this person may open on the site: their own conversations."""
        return self.filter(owner=user)

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

    objects = ConversationQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "-updated_at", "-id"], name="conversation_newest_first")]

    def __str__(self) -> str:
        # Titles are the prompt's first words, so they are content: keep them out of logs and admin breadcrumbs.
        return f"Conversation {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("conversation", args=[self.pk])

    @property
    def group(self) -> str:
        """Return the heading this conversation stands under in the sidebar (days in the site's time zone)."""
        today = timezone.localdate()
        day = timezone.localtime(self.updated_at).date()
        if day >= today:
            return "Today"
        return "Yesterday" if day == today - timedelta(days=1) else "Earlier"

    def thread(self) -> list:
        """Return the messages from the first prompt to `leaf`, in order, each with its generations and `versions`."""
        return self.path_to(self.leaf_id)

    def path_to(self, message_id: int | None, *, with_text: bool = True) -> list:
        """Return the messages from the first prompt to this one, in order; two queries.

        Each has its generations, and as `versions` the ids of all that could stand in its place, itself among them.
        `with_text=False` leaves the text of each to be read when it is asked for.
        """
        by_id, children = self._tree(with_text=with_text)
        path = []
        message = by_id.get(message_id)
        while message is not None:
            message.versions = children[message.parent_id]
            path.append(message)
            message = by_id.get(message.parent_id)
        return path[::-1]

    def newest_leaf(self, message_id: int) -> int:
        """Return the end of the path that goes through this message and then always to the newest version."""
        _, children = self._tree(with_text=False)
        while newer := children.get(message_id):
            message_id = newer[-1]
        return message_id

    def _tree(self, *, with_text: bool) -> tuple[dict, dict[int | None, list[int]]]:
        """Return this conversation's messages by id, and the ids of each one's children, oldest first.

        Generations are read before messages: one that is seen to have ended has its text in the message by then.
        """
        attempts = defaultdict(list)
        for generation in self.generations.order_by("pk"):
            attempts[generation.message_id].append(generation)
        messages = self.messages.order_by("pk")
        by_id = {m.pk: m for m in (messages if with_text else messages.defer("content", "reasoning"))}
        children: dict[int | None, list[int]] = defaultdict(list)
        for message in by_id.values():
            message.attempts = attempts[message.pk]
            children[message.parent_id].append(message.pk)
        return by_id, children


def title_from(prompt: str) -> str:
    """Return the prompt's first words: at most `TITLE_CHARACTERS` characters, cut at a space where there is one."""
    line = " ".join(prompt[: TITLE_CHARACTERS * 10].split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    head = line[: TITLE_CHARACTERS - 1]
    words, space, _ = head.rpartition(" ")
    # Chinese and Japanese have no spaces: cut them where the room ends.
    return (words if space and len(words) > TITLE_CHARACTERS // 2 else head).rstrip(" ,;:.") + "…"
