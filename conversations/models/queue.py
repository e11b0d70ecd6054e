from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from conversations.models.conversation import Conversation
from conversations.models.generation import Status

TAKEN_FOR = timedelta(minutes=30)  # then somebody else may take it


class Rating(models.TextChoices):
    """What its owner says of an answer."""

    GOOD = "good", "Good"
    BAD = "bad", "Bad"
    REPORT = "report", "Something is wrong: report it"


class Feedback(models.Model):
    """What the owner of a conversation says of an answer, and whether reviewers may know."""

    message = models.OneToOneField("Message", models.CASCADE, related_name="feedback")
    conversation = models.ForeignKey("Conversation", models.CASCADE, related_name="+")  # to find it by its rating
    rating = models.CharField(max_length=6, choices=Rating)
    comment = models.TextField("what is good or wrong about it", max_length=2000, blank=True)
    shared = models.BooleanField("let reviewers read this conversation", default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Feedback {self.pk}"


class Rule(models.Model):
    """What brings conversations into the queue: words, how answers ended, and which share of those it looks at."""

    OUTCOMES = ((Status.FILTERED, "Filtered"), (Status.FAILED, "Failed"))

    name = models.CharField(max_length=80, unique=True)
    words = models.TextField(blank=True, help_text="One word or phrase a line, in questions and answers; none: any.")
    outcome = models.CharField("how the answer ended", max_length=11, choices=OUTCOMES, blank=True)
    percent = models.DecimalField(
        "percent of these",
        max_digits=5,
        decimal_places=2,
        default=100,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Without words and outcome this is a random sample of all answers, which /privacy/ tells people of.",
    )
    active = models.BooleanField(default=True)
    # Answers that ended before this were looked at.
    checked_until = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ("add", "change", "delete", "view")

    def __str__(self) -> str:
        return self.name

    @property
    def phrases(self) -> list[str]:
        return [line.strip() for line in self.words.splitlines() if line.strip()]


class Verdict(models.TextChoices):
    FINE = "fine", "Nothing is wrong"
    POOR = "poor", "The answer is poor"
    UNSAFE = "unsafe", "The answer is unsafe"
    MISUSE = "misuse", "The use breaks the rules"


class ItemQuerySet(models.QuerySet):
    def reviewable_by(self, user: Any) -> "ItemQuerySet":
        return self.filter(conversation__in=Conversation.objects.reviewable_by(user))

    def unresolved(self) -> "ItemQuerySet":
        return self.filter(resolved_at=None)

    def resolved(self) -> "ItemQuerySet":
        return self.filter(resolved_at__isnull=False)

    def free(self) -> "ItemQuerySet":
        """Keep what nobody works on: never taken, or so long ago that its time is over."""
        return self.unresolved().filter(Q(taken_at=None) | Q(taken_at__lte=timezone.now() - TAKEN_FOR))

    def taken_by(self, user: Any) -> "ItemQuerySet":
        return self.unresolved().filter(taken_by=user, taken_at__gt=timezone.now() - TAKEN_FOR)


class Item(models.Model):
    """A conversation that waits for a reviewer: open, then taken by one for `TAKEN_FOR`, then resolved."""

    conversation = models.ForeignKey("Conversation", models.CASCADE, related_name="items")
    message = models.ForeignKey("Message", models.CASCADE, related_name="items")
    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="items")
    why = models.CharField(max_length=80)
    created_at = models.DateTimeField(default=timezone.now)
    taken_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    taken_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    resolved_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=6, choices=Verdict, blank=True)
    note = models.TextField(max_length=2000, blank=True)

    objects = ItemQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["message", "rule"], name="one_item_for_a_message_and_rule"),
            models.UniqueConstraint(
                fields=["message"], condition=Q(rule=None, resolved_at=None), name="one_open_report_of_a_message"
            ),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(resolved_at=None), name="item_unresolved")]

    def __str__(self) -> str:
        return f"Item {self.pk}"
