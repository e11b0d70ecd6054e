import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import connections, models
from django.db.models import Exists, F, Func, OuterRef, Q, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Substr

from conversations.models.attachment import Attachment
from conversations.models.generation import Generation
from conversations.models.words import count_words

if TYPE_CHECKING:
    from conversations.models.user import User

PARAGRAPH_BREAK = "\n\n"  # between the reasoning of an answer and that of its continuation
# Pages load no more than this of a message's content, and one character by which they know that there is more.
PAGE_CHARACTERS = 100_000
TRIGRAM_CHARACTERS = 3  # shorter words are not in an index of trigrams
RECENT_MESSAGES = 1_000  # scanned before an index is used
# As in migration 0009.
IDEOGRAPH = re.compile("([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])")


class Role(models.TextChoices):
    USER = "user"
    ASSISTANT = "assistant"


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: "User | int") -> "MessageQuerySet":
        return self.filter(conversation__owner=user, conversation__deleted_at=None)

    def reviewable_by(self, user: "User") -> "MessageQuerySet":
        """Keep what this reviewer may review; see `ConversationQuerySet.reviewable_by`."""
        kept = self.filter(conversation__deleted_at=None)
        if not user.review_limited:
            return kept
        return kept.filter(Exists(user.review_groups.filter(user=OuterRef("conversation__owner"))))

    def matching(self, text: str, *, reasoning: bool = False) -> "MessageQuerySet":
        """Keep messages whose content contains every word of `text`, ignoring case, also inside longer words.

        With `reasoning`, search the reasoning instead. On PostgreSQL a word of one or two letters is only found at the
        start of a word. The indexes are in migration 0009.
        """
        column = "reasoning" if reasoning else "content"
        return self.filter(self._contains(column, text)) if text.split() else self.none()

    def found_anywhere(self, text: str, number: int, before: int | None = None) -> list["Message"]:
        """Return the newest `number` whose content or whose reasoning contains every word of `text`, newest first.

        Of those before the id `before` if given; at most two queries. For the messages of one person: their newest are
        looked at first, as frequent words are there, and an index would return all matches of everybody. `in_content`
        and `in_reasoning` say where the words are. `beginning` and `thought` are the first `PAGE_CHARACTERS` of both
        texts, which are not loaded themselves.
        """
        if not text.split():
            return []
        content, reasoning = self._contains("content", text), self._contains("reasoning", text)

        def load(ids: "models.QuerySet[Message, dict[str, Any]]") -> list[Message]:
            found = Message.objects.filter(pk__in=ids).annotate(
                in_content=models.ExpressionWrapper(content, models.BooleanField()),
                in_reasoning=models.ExpressionWrapper(reasoning, models.BooleanField()),
                beginning=Substr("content", 1, PAGE_CHARACTERS),  # type: ignore[no-redef]  # declared in Message
                thought=Substr("reasoning", 1, PAGE_CHARACTERS),
            )
            return list(found.defer("content", "reasoning").select_related("conversation").order_by("-pk"))

        older = self.filter(pk__lt=before) if before else self
        recent = older.order_by("-pk").values("pk")[:RECENT_MESSAGES]
        found = older.filter(content | reasoning)
        loaded = load(found.filter(pk__in=recent).order_by("-pk").values("pk")[:number])
        if len(loaded) == number:
            return loaded
        # By an expression: in the order of the primary key, PostgreSQL would read everybody's messages until it has
        # found enough of this person's.
        return load(found.order_by((F("pk") + 0).desc()).values("pk")[:number])

    def _contains(self, column: str, text: str) -> Q:
        conditions = _sqlite_conditions if connections[self.db].vendor == "sqlite" else _postgresql_conditions
        return Q(*conditions(column, text.split()))

    def with_has_files(self) -> "MessageQuerySet":
        """Add `has_files`."""
        return self.annotate(has_files=Exists(Attachment.objects.filter(message=OuterRef("pk"))))

    def newest_ids(self, number: int, before: int | None = None) -> list[int]:
        """Return the ids of the newest `number` messages, of those before the id `before` if given.

        Frequent words are found among recent messages without an index, which would return all their matches.
        """
        newest = self.order_by("-pk").values_list("pk", flat=True)
        last = before or Message.objects.aggregate(last=models.Max("pk"))["last"] or 0
        found = list(newest.filter(pk__gt=last - RECENT_MESSAGES, pk__lte=last)[:number])
        return found if len(found) == number else list(newest[:number])


def _sqlite_conditions(column: str, words: list[str]) -> list[Q]:
    """Use the trigram index, which ignores the case of all scripts; for short words LIKE, which does so in ASCII."""
    index = "conversations_message_search"
    found = [Q(**{f"{column}__icontains": word}) for word in words if len(word) < TRIGRAM_CHARACTERS]
    if terms := ['"' + word.replace('"', '""') + '"' for word in words if len(word) >= TRIGRAM_CHARACTERS]:
        rows = f"select rowid from {index} where {index} match %s"  # noqa: S608  (constant names)
        found.append(Q(pk__in=RawSQL(rows, [f"{column} : ({' AND '.join(terms)})"])))  # noqa: S611
    return found


def _postgresql_conditions(column: str, words: list[str]) -> list[Q]:
    """Use `icontains`, which has a trigram index, and for short words also the index of words."""
    found = [Q(**{f"{column}__icontains": word}) for word in words]
    short = [part for word in words if len(word) < TRIGRAM_CHARACTERS for part in IDEOGRAPH.sub(r" \1 ", word).split()]
    if terms := [f"'{part}':*" for part in short if part.isalnum()]:
        words_of_text = Func(F(column), function="conversations_words")
        all_terms = Func(Value(" & ".join(terms)), template="to_tsquery('simple', %(expressions)s)")
        is_match = {"template": "%(expressions)s", "arg_joiner": " @@ ", "output_field": models.BooleanField()}
        found.append(Q(Func(words_of_text, all_terms, **is_match)))
    return found


class Message(models.Model):
    """A person's prompt, or a model's answer with its reasoning.

    `parent` makes the conversation a tree: an edited prompt or a regenerated answer is a sibling, and nothing is
    overwritten. `reasoning` is never part of a request to a model. While an answer is being generated, its new text is
    in the generation's chunks; the columns are empty, or contain the answer that is being continued. `reasoning` can be
    long, so pages do not load it (`Conversation.read`) and use `reasoning_word_count` to know whether there is any.
    """

    conversation = models.ForeignKey("Conversation", models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    role = models.CharField(max_length=9, choices=Role)
    content = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    reasoning_words = models.PositiveIntegerField(null=True)  # None before the end, and in rows of early versions
    # The steps of the reasoning, see `rendering.outlines`; None like `reasoning_words`. Protected like the reasoning.
    outline = models.JSONField(null=True)
    # Of an imported message: what the file says of its `generations`, as in exports. None: it was written here. An
    # imported answer has no `Generation`: nothing of this site has generated it.
    imported = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    versions: list[int]  # set by `Conversation.read`: the ids of all versions, itself included
    rating: str | None  # set by `Conversation.read`
    turn: int  # set by `Conversation.read`: the number of the question that it is or answers, from 1
    has_files: bool = False  # set by `MessageQuerySet.with_has_files`: there are attachments
    files: Sequence[Attachment] = ()  # set by `Conversation.read`
    beginning: str  # of the content: set where pages load no more
    thought: str  # the beginning of the reasoning; set, like the next two, by `found_anywhere`
    in_content: bool
    in_reasoning: bool

    objects = MessageQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["conversation", "id"], name="message_in_order")]

    def __str__(self) -> str:
        return f"Message {self.pk}"

    def get_absolute_url(self) -> str:
        """Return the address of this message on the page of its conversation, of any version."""
        return f"{self.conversation.get_absolute_url()}?message={self.pk}#message-{self.pk}"

    @property
    def path(self) -> str:
        """Return what the addresses of its pages and commands begin with.

        `reverse` takes 20 times as long, and a page shows many.
        """
        return f"/messages/{self.pk}/"

    @property
    def prompt(self) -> "Message":
        """Return the prompt that this answer responds to."""
        if self.parent is None:
            raise ValueError(f"{self} is not an answer")
        return self.parent

    @cached_property
    def generation_list(self) -> list[Generation]:
        """Return the generations of this message, oldest first; `Conversation.read` sets it."""
        return list(self.generations.order_by("pk"))

    @property
    def generation(self) -> Generation | None:
        """Return the newest generation of an answer; None for a prompt."""
        return self.generation_list[-1] if self.generation_list else None

    @property
    def is_imported(self) -> bool:
        return self.imported is not None

    @property
    def imported_model(self) -> str:
        """Return the name of the model that has answered elsewhere, as far as the imported file says so."""
        parts = self.imported["generations"] if self.imported else []
        return next((part["model"] for part in reversed(parts) if part["model"]), "")

    @property
    def is_live(self) -> bool:
        return self.generation is not None and self.generation.is_live

    @property
    def reasoning_word_count(self) -> int:
        """Return the number of words of the reasoning, 0 if there is none."""
        return count_words(self.reasoning) if self.reasoning_words is None else self.reasoning_words

    @property
    def parts(self) -> list[Generation]:
        """Return the generations that wrote this message's text: one that is no continuation, then continuations."""
        generations = self.generation_list
        start = max((index for index, each in enumerate(generations) if not each.is_continuation), default=0)
        return generations[start:]

    @property
    def continuation_offsets(self) -> list[int]:
        """Return where continuations start in the content, in characters."""
        return sorted({part.joined_at for part in self.parts if part.joined_at is not None})

    def joined_with(self, reasoning: str, content: str) -> tuple[str, str]:
        """Return (reasoning, content) of this message with a generation's text added to it."""
        between = PARAGRAPH_BREAK if self.reasoning and reasoning else ""
        return self.reasoning + between + reasoning, self.content + content

    def current_text(self) -> tuple[str, str]:
        """Return (reasoning, content), including committed chunks if the message is live."""
        stored = self.reasoning, self.content  # read first, so that text which moves here meanwhile is not repeated
        generation = self.generation
        if generation is None or not generation.is_live:
            return stored
        if any(committed := generation.committed_text()):
            return self.joined_with(*committed)
        # The generation may have ended since this row was read. If so, its text is here now.
        self.refresh_from_db(fields=["reasoning", "content"])
        return self.reasoning, self.content
