import re
from typing import Any

from django.db import connections, models
from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import RawSQL

from conversations.models.generation import Generation
from conversations.models.words import count_words

PARAGRAPH = "\n\n"  # between what was thought at first and what was thought anew
TRIGRAM = 3  # characters: what is shorter has no place in an index of trigrams
RECENT = 1_000  # messages that are looked through one by one before an index is asked
IDEOGRAPH = re.compile("([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])")  # as migration 0009 says it


class Role(models.TextChoices):
    USER = "user"
    ASSISTANT = "assistant"


class MessageQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> "MessageQuerySet":
        return self.filter(conversation__owner=user)

    def reviewable_by(self, user: Any) -> "MessageQuerySet":
        """Keep what is in this reviewer's field; see `ConversationQuerySet.reviewable_by`."""
        if not user.review_limited:
            return self.all()
        return self.filter(Exists(user.review_groups.filter(user=OuterRef("conversation__owner"))))

    def matching(self, text: str, *, reasoning: bool = False) -> "MessageQuerySet":
        """Keep messages that hold every word of `text`, in whatever case and inside longer words too.

        In what was asked and answered; with `reasoning` in what was thought instead. On PostgreSQL a word of one or two
        letters is found at the beginning of words alone. Indexes narrow the choice, see migration 0009.
        """
        column = "reasoning" if reasoning else "content"
        words = text.split()
        conditions = _on_sqlite if connections[self.db].vendor == "sqlite" else _on_postgresql
        return self.filter(*conditions(column, words)) if words else self.none()

    def newest_ids(self, number: int, before: int | None = None) -> list[int]:
        """Return the ids of the newest so many messages, before one or of all.

        What is frequent is found among the newest, without an index, which would find all that there is of it.
        """
        newest = self.order_by("-pk").values_list("pk", flat=True)
        last = before or Message.objects.aggregate(last=models.Max("pk"))["last"] or 0
        found = list(newest.filter(pk__gt=last - RECENT, pk__lte=last)[:number])
        return found if len(found) == number else list(newest[:number])


def _on_sqlite(column: str, words: list[str]) -> list[Q]:
    """Return what all of `words` in `column` means there: trigrams tell letters of any script, LIKE only ASCII's."""
    index = "conversations_message_search"
    found = [Q(**{f"{column}__icontains": word}) for word in words if len(word) < TRIGRAM]
    if terms := ['"' + word.replace('"', '""') + '"' for word in words if len(word) >= TRIGRAM]:
        rows = f"select rowid from {index} where {index} match %s"  # noqa: S608  (names of ours)
        found.append(Q(pk__in=RawSQL(rows, [f"{column} : ({' AND '.join(terms)})"])))  # noqa: S611
    return found


def _on_postgresql(column: str, words: list[str]) -> list[Q]:
    """Return what all of `words` in `column` means there: trigrams serve `icontains`, what is short needs words."""
    found = [Q(**{f"{column}__icontains": word}) for word in words]
    parts = [part for word in words if len(word) < TRIGRAM for part in IDEOGRAPH.sub(r" \1 ", word).split()]
    if terms := [f"'{part}':*" for part in parts if part.isalnum()]:
        matches = f"conversations_words(conversations_message.{column}) @@ to_tsquery('simple', %s)"
        found.append(Q(RawSQL(matches, [" & ".join(terms)], models.BooleanField())))  # noqa: S611
    return found


class Message(models.Model):
    """One turn's half: what a person asked, or what the model thought and answered.

    `parent` makes the conversation a tree: an edited prompt or a regenerated answer is a sibling, nothing is
    overwritten. `reasoning` is kept apart from `content` and is never part of a request to a model. While an answer is
    being generated, what is new stands in the generation's chunks, and both columns hold what was there before:
    nothing, unless the generation goes on with an answer. `reasoning` is long and seldom read: pages leave it out
    (`Conversation.read`) and ask `thought_words` whether there is any.
    """

    conversation = models.ForeignKey("Conversation", models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    role = models.CharField(max_length=9, choices=Role)
    content = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    reasoning_words = models.PositiveIntegerField(null=True)  # counted when it was folded; None: it never was
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

    @property
    def thought_words(self) -> int:
        """Return how many words were thought before it was answered, 0 for none."""
        if self.reasoning_words is None:  # it has not ended, or an earlier version of the site wrote it
            return count_words(self.reasoning)
        return self.reasoning_words

    @property
    def parts(self) -> list[Generation]:
        """Return the generations whose text this message is: the newest that began it, and those that went on."""
        newest = self.generation
        begun = max((n for n, attempt in enumerate(self.attempts) if not attempt.goes_on), default=0)
        return self.attempts[begun:] if newest else []

    @property
    def joins(self) -> list[int]:
        """Return where its content was joined, in characters."""
        return sorted({part.joined_at for part in self.parts if part.goes_on})

    def followed_by(self, reasoning: str, content: str) -> tuple[str, str]:
        """Return its (reasoning, content) with more of both; what is thought anew is a paragraph of its own."""
        between = PARAGRAPH if self.reasoning and reasoning else ""
        return self.reasoning + between + reasoning, self.content + content

    def text_so_far(self) -> tuple[str, str]:
        """Return (reasoning, content) with the committed chunks of a generation that has not been folded yet."""
        before = self.reasoning, self.content  # read first: what is folded meanwhile must not be seen twice
        if not self.is_live:
            return before
        if any(said := self.generation.said_so_far()):
            return self.followed_by(*said)
        # It may have ended since this row was read, and then its text stands here.
        self.refresh_from_db(fields=["reasoning", "content"])
        return self.reasoning, self.content
