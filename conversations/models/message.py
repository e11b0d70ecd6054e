from typing import Any

from django.db import models

from conversations.models.generation import Chunk, Generation, Kind


class Role(models.TextChoices):
    USER = "user"
    ASSISTANT = "assistant"


class MessageQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> "MessageQuerySet":
        return self.filter(conversation__owner=user)


class Message(models.Model):
    """One turn's half: what a person asked, or what the model thought and answered.

    `parent` makes the conversation a tree: an edited prompt or a regenerated answer is a sibling, nothing is
    overwritten. `reasoning` is kept apart from `content` and is never part of a request to a model. While an answer is
    being generated both columns are empty and the text stands in the generation's chunks.
    """

    conversation = models.ForeignKey("Conversation", models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    role = models.CharField(max_length=9, choices=Role)
    content = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["conversation", "id"], name="message_in_order")]

    def __str__(self) -> str:
        return f"Message {self.pk}"

    @property
    def generation(self) -> Generation | None:
        """Return the newest generation of this message; None for what a person wrote."""
        if not hasattr(self, "attempts"):
            self.attempts = list(self.generations.order_by("pk"))
        return self.attempts[-1] if self.attempts else None

    @property
    def is_live(self) -> bool:
        return self.generation is not None and self.generation.is_live

    def text_so_far(self) -> tuple[str, str]:
        """Return (reasoning, content) with the committed chunks of a generation that has not been folded yet."""
        text = {Kind.REASONING: [self.reasoning], Kind.ANSWER: [self.content]}
        if self.is_live:
            chunks = Chunk.objects.filter(generation=self.generation).order_by("attempt", "sequence")
            for kind, piece in (pieces := list(chunks.values_list("kind", "text"))):
                text[Kind(kind)].append(piece)
            if not pieces:
                # It may have ended since this row was read, and then its text stands here.
                self.refresh_from_db(fields=["reasoning", "content"])
                return self.reasoning, self.content
        return "".join(text[Kind.REASONING]), "".join(text[Kind.ANSWER])
