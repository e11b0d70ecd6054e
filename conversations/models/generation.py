from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery, Window
from django.db.models.functions import Coalesce, RowNumber
from django.utils import timezone

if TYPE_CHECKING:
    from conversations.models.message import Message
    from conversations.models.user import User


class Status(models.TextChoices):
    """The states of a generation: queued, then thinking, then answering, then one of the six outcomes."""

    QUEUED = "queued"
    THINKING = "thinking"
    ANSWERING = "answering"
    COMPLETE = "complete"
    STOPPED = "stopped"
    LENGTH = "length"
    FILTERED = "filtered"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


RUNNING = (Status.THINKING, Status.ANSWERING)
LIVE = (Status.QUEUED, *RUNNING)
# Longer than it takes another process to claim a question, if there is one that knows its model.
CLAIM_SECONDS = 10
UNKNOWN_MODEL_MINUTES = 15  # a question for a model that no process knows ends after them
POSITIONS = 200  # a longer queue has no positions: each process counts them once a second, and for pages


class Kind(models.TextChoices):
    """What a piece of a model's text is."""

    REASONING = "reasoning"
    ANSWER = "answer"


class Depth(models.TextChoices):
    """How deeply a model thinks about a question; see `inference.registry` for what that means to each model."""

    QUICK = "quick"
    NORMAL = "normal"
    DEEP = "deep"


class Worker(models.Model):
    """A process that runs generations. `beat` is incremented once a second, so no clocks have to be compared."""

    beat = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)
    # None for a version from before attachments: the database keeps it from claiming where there are files (0033).
    reads_files = models.BooleanField(null=True)

    def __str__(self) -> str:
        return f"Worker {self.pk}"


class Counts(NamedTuple):
    """What a generation's prompt and answer use of the context; each is None if it is not known, or not yet."""

    prompt_estimate: int | None
    prompt_tokens: int | None
    answer_tokens: int | None
    tokens_estimated: bool | None
    context_start_id: int | None


class GenerationQuerySet(models.QuerySet["Generation"]):
    def visible_to(self, user: "User | int") -> "GenerationQuerySet":
        return self.filter(owner=user, conversation__deleted_at=None)

    def live(self) -> "GenerationQuerySet":
        """Keep the queued and the running."""
        return self.filter(status__in=LIVE)

    def running(self) -> "GenerationQuerySet":
        return self.filter(status__in=RUNNING)

    def live_below(self, message: "Message") -> "GenerationQuerySet":
        """Keep the live generations of a message and of all messages below it in the tree."""
        return self.live().filter(message__in=message.conversation.tree().below(message.pk))

    def in_queue_order(self) -> "GenerationQuerySet":
        """Order the queued generations so that nobody's many prompts delay the first prompt of others.

        They are sorted by `turn`: the owner's running generations, plus the position among the owner's queued ones.
        """
        same_owner = Generation.objects.running().filter(owner=OuterRef("owner")).order_by()
        counted = same_owner.values("owner").annotate(number=Count("pk")).values("number")
        position = Window(RowNumber(), partition_by=F("owner"), order_by=F("pk").asc())
        queued = self.filter(status=Status.QUEUED).annotate(running=Coalesce(Subquery(counted), 0), position=position)
        return queued.annotate(turn=F("running") + F("position")).order_by("turn", "pk")

    def claimable(self) -> "GenerationQuerySet":
        """Keep, in queue order, what this process's worker can claim.

        That is each idle conversation's first generation, if its model is known and its owner has a free slot. What
        waits for unknown models takes no turn of its owner's.
        """
        return self._next_in_idle(_has_known_model())

    def unclaimable(self) -> "GenerationQuerySet":
        """Keep what could be claimed if its model were known."""
        return self._next_in_idle(~_has_known_model())

    def _next_in_idle(self, condition: Q) -> "GenerationQuerySet":
        busy = Generation.objects.running().values("conversation")
        heads = (
            Generation.objects.filter(status=Status.QUEUED)
            .values("conversation")
            .annotate(head=models.Min("pk"))
            .values("head")
        )
        idle = self.filter(condition, pk__in=heads).exclude(conversation__in=busy)
        return idle.in_queue_order().filter(Q(turn__lte=settings.USER_CONCURRENCY))

    def queue_positions(self) -> dict[int, int]:
        """Return the position in the queue, from 1, of each queued generation by id; none if the queue is long.

        Longer than `POSITIONS`: finding that out costs the same for any number.
        """
        if self.filter(status=Status.QUEUED).order_by("pk")[POSITIONS : POSITIONS + 1].exists():
            return {}
        return {pk: position for position, pk in enumerate(self.in_queue_order().values_list("pk", flat=True), 1)}


def _has_known_model() -> Q:
    """Match what a model of this process's registry can answer; those without a model are for the default one."""
    return Q(model__in=("", *settings.MODELS))


class Generation(models.Model):
    """One run of the model for one assistant message, and its outcome.

    All changes are conditional updates. `worker` and `attempt` are the fence. The two constraints on running rows are
    the slots: an UPDATE that counts the running rows does not limit them when many workers claim at once. Times are by
    the worker's clock; `error` is the sentence that people read.
    """

    message = models.ForeignKey("Message", models.CASCADE, related_name="generations")
    conversation = models.ForeignKey("Conversation", models.CASCADE, related_name="generations")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="generations")
    key = models.UUIDField(null=True)
    # Of a continuation: the length in characters of the message's content when it was queued.
    joined_at = models.PositiveIntegerField(null=True)
    without_thinking = models.BooleanField(default=False)
    # The versions that applied when the answer was asked for, and are sent with it.
    user_instructions = models.ForeignKey("Instructions", models.SET_NULL, null=True, related_name="+", db_index=False)
    conversation_instructions = models.ForeignKey(
        "Instructions", models.SET_NULL, null=True, related_name="+", db_index=False
    )

    status = models.CharField(max_length=11, choices=Status, default=Status.QUEUED)
    worker = models.ForeignKey(Worker, models.SET_NULL, null=True, related_name="generations")
    attempt = models.PositiveSmallIntegerField(default=0)
    slot = models.PositiveSmallIntegerField(null=True)
    stop_requested = models.BooleanField(default=False)

    error = models.TextField(blank=True)
    endpoint_error = models.TextField(null=True)  # noqa: DJ001  (for staff: what the endpoint said; see migration 0016)
    finish_reason = models.CharField(max_length=40, blank=True)
    # The id of the model that is to answer, or has answered; "" if none was connected yet.
    model = models.CharField(max_length=200, blank=True)
    # "" if its model offers no choice; None before migration 0029.
    depth = models.CharField(max_length=6, choices=Depth, null=True)  # noqa: DJ001
    # The first message of the history that was sent, if older turns were left out.
    context_start = models.ForeignKey("Message", models.SET_NULL, null=True, related_name="+")
    # The request without the conversation's messages; see `inference.request_log`.
    request = models.JSONField(null=True)
    # About how many tokens the prompt has by this site's estimate, which decides what is left out.
    prompt_estimate = models.PositiveIntegerField(null=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    cached_tokens = models.PositiveIntegerField(null=True)  # prompt tokens that the endpoint had cached
    reasoning_tokens = models.PositiveIntegerField(null=True)
    answer_tokens = models.PositiveIntegerField(null=True)
    # True if the endpoint reported no counts, and these were estimated from the texts.
    tokens_estimated = models.BooleanField(null=True)
    # Of the owner's tokens of the day, for prompt and output. It counts while this is live; see `models.usage.reserve`.
    reserved_tokens = models.BigIntegerField(null=True)
    # Where in its reasoning, in characters, the model was found to repeat itself.
    repetition_at = models.PositiveIntegerField(null=True)

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    first_thought_at = models.DateTimeField(null=True)
    first_answer_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="one_prompt_for_a_key"),
            models.UniqueConstraint(
                fields=["conversation"], condition=Q(status__in=RUNNING), name="one_running_in_a_conversation"
            ),
            models.UniqueConstraint(
                fields=["owner", "slot"], condition=Q(status__in=RUNNING), name="one_running_in_a_slot"
            ),
            models.CheckConstraint(
                condition=Q(status__in=RUNNING, slot__isnull=False) | (~Q(status__in=RUNNING) & Q(slot__isnull=True)),
                name="a_slot_while_running_only",
            ),
        ]
        indexes = [
            models.Index(fields=["status"], condition=Q(status__in=LIVE), name="generation_live"),
            models.Index(fields=["finished_at"], name="generation_finished"),
            models.Index(fields=["owner"], condition=Q(status=Status.QUEUED), name="generation_queued_by"),
            models.Index(fields=["id"], condition=Q(status=Status.QUEUED), name="generation_queue"),
            models.Index(
                fields=["user_instructions"],
                condition=Q(user_instructions__isnull=False),
                name="generation_user_instructed",
            ),
            models.Index(
                fields=["conversation_instructions"],
                condition=Q(conversation_instructions__isnull=False),
                name="generation_instructed",
            ),
        ]

    def __str__(self) -> str:
        return f"Generation {self.pk}"

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def waits_for_model(self) -> bool:
        """Whether it is queued for a model that this process does not know, and no other has claimed it for a while."""
        is_known = not settings.MODELS or self.model in ("", *settings.MODELS)
        waited = (timezone.now() - self.created_at).total_seconds()
        return self.status == Status.QUEUED and not is_known and waited > CLAIM_SECONDS

    @property
    def model_label(self) -> str:
        return label_of(self.model)

    @property
    def is_continuation(self) -> bool:
        """Whether it continues an answer that was cut off."""
        return self.joined_at is not None

    @property
    def counts(self) -> Counts:
        return Counts(*(getattr(self, name) for name in Counts._fields))

    @property
    def instructions(self) -> dict[str, int | None]:
        """Return the ids of the instructions that are sent with it, as fields of another generation."""
        names = ("user_instructions_id", "conversation_instructions_id")
        return {name: getattr(self, name) for name in names}

    @property
    def thinking_seconds(self) -> float | None:
        """Return the seconds from the claim to the first word of the answer, to the end or to now; None if queued."""
        if self.started_at is None:
            return None
        until = self.first_answer_at or self.finished_at or timezone.now()
        return max(0.0, (until - self.started_at).total_seconds())

    def committed_text(self) -> tuple[str, str]:
        """Return (reasoning, answer) from the chunks, which are deleted when the generation ends."""
        text: dict[str, list[str]] = {Kind.REASONING: [], Kind.ANSWER: []}
        for kind, chunk in self.chunks.order_by("attempt", "sequence").values_list("kind", "text"):
            text[kind].append(chunk)
        return "".join(text[Kind.REASONING]), "".join(text[Kind.ANSWER])


def label_of(model: str) -> str:
    """Return the name for people of the model with this id; the id if this site does not have it any more."""
    known = settings.MODELS.get(model)
    return str(known.label) if known else model


def total_thinking_seconds(parts: Sequence[Generation]) -> float | None:
    """Return how long a message's generations thought, without continuations that added no reasoning."""
    seconds = [part.thinking_seconds for part in parts if part.first_thought_at or not part.is_continuation]
    known = [each for each in seconds if each is not None]
    return sum(known) if known else None


class Chunk(models.Model):
    """A second's text of a running generation. At the end the chunks are joined into the message and deleted."""

    generation = models.ForeignKey(Generation, models.CASCADE, related_name="chunks")
    attempt = models.PositiveSmallIntegerField()
    sequence = models.PositiveIntegerField()
    kind = models.CharField(max_length=9, choices=Kind)
    text = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "attempt", "sequence"], name="chunk_in_order"),
        ]

    def __str__(self) -> str:
        return f"Chunk {self.pk}"
