from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery, Sum, Window
from django.db.models.functions import Coalesce, RowNumber
from django.utils import timezone


class Status(models.TextChoices):
    """A generation's life: queued, then thinking, then answering, then one of the six outcomes."""

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


class Kind(models.TextChoices):
    """Which of a model's two voices a piece of text belongs to."""

    REASONING = "reasoning"
    ANSWER = "answer"


class Worker(models.Model):
    """A process that runs generations. `beat` counts up once a second; no clock of another machine is ever read."""

    beat = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"Worker {self.pk}"


class GenerationQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> "GenerationQuerySet":
        return self.filter(owner=user)

    def live(self) -> "GenerationQuerySet":
        return self.filter(status__in=LIVE)

    def running(self) -> "GenerationQuerySet":
        return self.filter(status__in=RUNNING)

    def tokens(self) -> int:
        """Return how many tokens these cost, as the endpoint counted them: read, thought and answered."""
        counts = ("prompt_tokens", "reasoning_tokens", "answer_tokens")
        found = self.aggregate(**{name: Sum(name, default=0) for name in counts})
        return sum(found.values())

    def live_below(self, message: Any) -> "GenerationQuerySet":
        """Keep what waits or runs for a message and for what follows it, in any version."""
        return self.live().filter(message__in=message.conversation.tree().below(message.pk))

    def in_turn(self) -> "GenerationQuerySet":
        """Order what is queued so that a person's fiftieth prompt waits behind everybody else's first.

        `turn` counts a person's answers that run and their queued prompts up to this one.
        """
        same_owner = Generation.objects.running().filter(owner=OuterRef("owner")).order_by()
        counted = same_owner.values("owner").annotate(number=Count("pk")).values("number")
        ahead = Window(RowNumber(), partition_by=F("owner"), order_by=F("pk").asc())
        queued = self.filter(status=Status.QUEUED).annotate(running=Coalesce(Subquery(counted), 0), ahead=ahead)
        return queued.annotate(turn=F("running") + F("ahead")).order_by("turn", "pk")

    def claimable(self) -> "GenerationQuerySet":
        """Keep, in turn, what may start now: its conversation is idle, it is first there, its owner has a slot free."""
        busy = Generation.objects.running().values("conversation")
        heads = (
            Generation.objects.filter(status=Status.QUEUED)
            .values("conversation")
            .annotate(head=models.Min("pk"))
            .values("head")
        )
        able = self.filter(pk__in=heads).exclude(conversation__in=busy)
        return able.in_turn().filter(turn__lte=settings.USER_CONCURRENCY)

    def places(self) -> dict[int, int]:
        """Return the place in line, from 1, of everything that is queued, by id; one query."""
        return {pk: place for place, pk in enumerate(self.in_turn().values_list("pk", flat=True), 1)}


class Generation(models.Model):
    """One run of the model for one assistant message, and how it ended.

    Claimed, fed and finished by conditional updates alone: `worker` and `attempt` are the fence, the two constraints on
    running rows are the slots (a conditional UPDATE that counts does not hold when many claim at once). Times are the
    worker's wall clock; `error` is the sentence a person reads.
    """

    message = models.ForeignKey("Message", models.CASCADE, related_name="generations")
    conversation = models.ForeignKey("Conversation", models.CASCADE, related_name="generations")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="generations")
    key = models.UUIDField(null=True)
    # Where this answer begins in the message's content, in characters, if it goes on with what an earlier one said.
    joined_at = models.PositiveIntegerField(null=True)
    without_thinking = models.BooleanField(default=False)

    status = models.CharField(max_length=11, choices=Status, default=Status.QUEUED)
    worker = models.ForeignKey(Worker, models.SET_NULL, null=True, related_name="generations")
    attempt = models.PositiveSmallIntegerField(default=0)
    slot = models.PositiveSmallIntegerField(null=True)
    stop_requested = models.BooleanField(default=False)

    error = models.TextField(blank=True)
    finish_reason = models.CharField(max_length=40, blank=True)
    model = models.CharField(max_length=200, blank=True)
    # The first message of the history that was sent, when older turns had to be left out.
    context_start = models.ForeignKey("Message", models.SET_NULL, null=True, related_name="+")
    # What was sent besides the conversation's messages; see `inference.request_log`.
    request = models.JSONField(null=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    cached_tokens = models.PositiveIntegerField(null=True)  # of these, those the endpoint had read before
    reasoning_tokens = models.PositiveIntegerField(null=True)
    answer_tokens = models.PositiveIntegerField(null=True)

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
        ]

    def __str__(self) -> str:
        return f"Generation {self.pk}"

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def goes_on(self) -> bool:
        """Whether it goes on with its message's answer, which was cut; else the message has nothing else."""
        return self.joined_at is not None

    @property
    def thinking_seconds(self) -> float | None:
        """Return seconds from the claim to the first word of the answer, to the end or to now; None unclaimed."""
        if self.started_at is None:
            return None
        until = self.first_answer_at or self.finished_at or timezone.now()
        return max(0.0, (until - self.started_at).total_seconds())

    def said_so_far(self) -> tuple[str, str]:
        """Return (reasoning, answer) as committed, until they are folded into the message."""
        text: dict[str, list[str]] = {Kind.REASONING: [], Kind.ANSWER: []}
        for kind, piece in self.chunks.order_by("attempt", "sequence").values_list("kind", "text"):
            text[kind].append(piece)
        return "".join(text[Kind.REASONING]), "".join(text[Kind.ANSWER])


def thought_seconds(parts: Sequence[Generation]) -> float | None:
    """Return how long all that made a message thought; a part that went on without thinking anew does not count."""
    seconds = [part.thinking_seconds for part in parts if part.first_thought_at or not part.goes_on]
    known = [passed for passed in seconds if passed is not None]
    return sum(known) if known else None


class Chunk(models.Model):
    """A piece of a running generation's text, committed once a second; folded into the message at the end."""

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
