"""Tables that only review uses. They carry the label of the app `conversations`, whose migrations create them."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from conversations.models import Conversation, Status

MAX_DELAY_DAYS = 90  # how long a notice to an owner can be delayed
CASE_DURATION = timedelta(hours=8)  # a working day; then the reviewer states a reason again
CLAIM_DURATION = timedelta(minutes=30)  # then another reviewer may claim the item


class CaseQuerySet(models.QuerySet):
    def open_for(self, reviewer: Any) -> "CaseQuerySet":
        """Keep the case this reviewer has open, if it has not expired."""
        return self.filter(reviewer=reviewer, ended_at=None, begun_at__gt=timezone.now() - CASE_DURATION)

    def with_delayed_notices(self) -> "CaseQuerySet":
        """Keep cases whose notices to owners are delayed now."""
        return self.filter(hold_until__gt=timezone.now())

    def awaiting_approval(self) -> "CaseQuerySet":
        """Keep cases whose reviewer requested a delay of the notices that nobody has approved."""
        return self.filter(hold_days__isnull=False, hold_until=None)

    def within_scope_of(self, user: Any) -> "CaseQuerySet":
        """Keep cases that concern only people whom this reviewer may review: those of reviewers with no wider scope."""
        if not user.review_limited:
            return self.all()
        groups = Group.objects.filter(reviewers=OuterRef("reviewer"))
        wider = groups.exclude(pk__in=user.review_groups.values("pk"))
        return self.filter(reviewer__review_limited=True).exclude(Exists(wider))


class Case(models.Model):
    """A reviewer's reason for reading content. Open until it is closed, for `CASE_DURATION` at most."""

    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="cases")
    reason = models.CharField(max_length=80)
    note = models.TextField(blank=True)
    begun_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    # Owners see a notice at once, unless another reviewer approves a delay of this many days.
    hold_days = models.PositiveSmallIntegerField(null=True)
    hold_why = models.TextField(blank=True)
    hold_approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    hold_until = models.DateTimeField(null=True)

    objects = CaseQuerySet.as_manager()

    class Meta:
        app_label = "conversations"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["reviewer"], condition=Q(ended_at=None), name="one_open_case_for_a_reviewer"
            ),
            models.CheckConstraint(
                condition=Q(hold_approved_by=None) | ~Q(hold_approved_by=F("reviewer")),
                name="a_hold_is_approved_by_another",
            ),
        ]

    def __str__(self) -> str:
        return f"Case {self.pk}"


class AuditAction(models.TextChoices):
    """What the audit trail records."""

    OPENED = "opened", "Read the conversation"
    REASONING = "reasoning", "Read the model's reasoning"
    FILE = "file", "Opened an attached file"
    FOUND = "found", "Saw excerpts in search results"
    EXPORTED = "exported", "Exported the conversation"
    CASE_OPENED = "case", "Started a case"
    SEARCHED = "searched", "Searched messages"
    DELAY_REQUESTED = "hold_asked", "Requested a delayed notice"
    DELAY_APPROVED = "hold_given", "Approved a delayed notice"
    HOLD_PLACED = "held", "Placed a legal hold"
    HOLD_LIFTED = "lifted", "Lifted a legal hold"
    HOLD_CHANGED = "hold_changed", "Changed the reason of a legal hold"
    SHARE_ENDED = "share_ended", "Ended a shared link"
    VERDICT = "verdict", "Gave a verdict"
    PRUNED = "pruned", "Deleted after the retention period"
    ACCOUNT_DELETED = "deleted", "Deleted an account"
    TRIMMED = "trimmed", "Deleted the oldest audit entries"
    PERMISSIONS_CHANGED = "granted", "Changed review permissions"


# Entries that the owner of a conversation sees.
OWNER_VISIBLE = (
    AuditAction.OPENED,
    AuditAction.REASONING,
    AuditAction.FILE,
    AuditAction.FOUND,
    AuditAction.EXPORTED,
    AuditAction.SHARE_ENDED,
)


class AuditQuerySet(models.QuerySet):
    def visible_to_owner(self, owner_id: int) -> "AuditQuerySet":
        """Keep entries about this owner's conversations that the owner may see now, newest first."""
        delayed = Case.objects.with_delayed_notices().values("pk")
        return self.filter(owner_id=owner_id, act__in=OWNER_VISIBLE).exclude(case_id__in=delayed).order_by("-number")


class AuditEntry(models.Model):
    """Who did what to whose conversation, when, why and from where. Only `review.audit.record` adds rows.

    Plain ids instead of foreign keys, so that deletions do not cascade here. Triggers refuse every change. `mac` is a
    keyed hash of the row, its number and the `mac` of the row before: docs/review.md says what that proves. `managed`
    is False because `manage.py flush` and Django's table rebuild on SQLite would lose rows or triggers.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    at = models.DateTimeField("time")
    act = models.CharField("action", max_length=12, choices=AuditAction)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField("actor", max_length=150, blank=True)
    role = models.CharField(max_length=150, blank=True)
    address = models.CharField("IP address", max_length=45, blank=True)
    case_id = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=80, blank=True)
    note = models.TextField(blank=True)
    owner_id = models.BigIntegerField("owner ID", null=True)
    conversation_id = models.UUIDField("conversation ID", null=True)
    message_id = models.BigIntegerField(null=True)
    details = models.JSONField(default=dict)  # strings, integers, lists of them: every database returns them unchanged
    previous = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)

    objects = AuditQuerySet.as_manager()

    class Meta:
        app_label = "conversations"
        managed = False
        default_permissions = ("view",)
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["owner_id", "-number"], name="audit_told"),
            models.Index(fields=["conversation_id", "-number"], name="audit_conversation"),
        ]

    def __str__(self) -> str:
        return f"Audit entry {self.number}"


class Rule(models.Model):
    """Selects answers for the review queue: by words, by outcome, and a percentage of those."""

    OUTCOMES = ((Status.FILTERED, "Filtered"), (Status.FAILED, "Failed"))

    name = models.CharField(max_length=80, unique=True)
    words = models.TextField(blank=True, help_text="One word or phrase per line. Empty: any question or answer.")
    outcome = models.CharField("outcome of the answer", max_length=11, choices=OUTCOMES, blank=True)
    percent = models.DecimalField(
        "percentage to queue",
        max_digits=5,
        decimal_places=2,
        default=100,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Without words and outcome, this is a random sample of all answers. /privacy/ shows the percentage.",
    )
    active = models.BooleanField(default=True)
    # Answers that finished before this have been checked.
    checked_until = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        app_label = "conversations"
        default_permissions = ("add", "change", "delete", "view")

    def __str__(self) -> str:
        return self.name

    @property
    def phrases(self) -> list[str]:
        return [line.strip() for line in self.words.splitlines() if line.strip()]


class Verdict(models.TextChoices):
    FINE = "fine", "No problem"
    POOR = "poor", "Poor answer"
    UNSAFE = "unsafe", "Unsafe answer"
    MISUSE = "misuse", "Misuse of the site"


def _is_free() -> Q:
    """Return the condition for items that are not claimed, or that were claimed longer than `CLAIM_DURATION` ago."""
    return Q(taken_at=None) | Q(taken_at__lte=timezone.now() - CLAIM_DURATION)


class QueueItemQuerySet(models.QuerySet):
    def reviewable_by(self, user: Any) -> "QueueItemQuerySet":
        return self.filter(conversation__in=Conversation.objects.reviewable_by(user))

    def unresolved(self) -> "QueueItemQuerySet":
        return self.filter(resolved_at=None)

    def resolved(self) -> "QueueItemQuerySet":
        return self.filter(resolved_at__isnull=False)

    def unassigned(self) -> "QueueItemQuerySet":
        """Keep items that can be claimed: never claimed, or claimed longer than `CLAIM_DURATION` ago."""
        return self.unresolved().filter(_is_free())

    def waiting_for(self, user: Any) -> "QueueItemQuerySet":
        """Keep what this reviewer can give a verdict on: items that can be claimed, and the one claimed already."""
        return self.reviewable_by(user).unresolved().filter(_is_free() | Q(taken_by=user)).order_by("pk")

    def claimed_by(self, user: Any) -> "QueueItemQuerySet":
        return self.unresolved().filter(taken_by=user, taken_at__gt=timezone.now() - CLAIM_DURATION)


class QueueItem(models.Model):
    """An answer for review: unassigned, then claimed by one reviewer for `CLAIM_DURATION`, then resolved.

    A verdict outlives the answer: `conversation` and `message` are then None. `review.queue.refresh` removes unresolved
    items of deleted answers.
    """

    conversation = models.ForeignKey("Conversation", models.SET_NULL, null=True, related_name="queue_items")
    message = models.ForeignKey("Message", models.SET_NULL, null=True, related_name="queue_items")
    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="queue_items")
    why = models.CharField(max_length=80)
    created_at = models.DateTimeField(default=timezone.now)
    taken_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    taken_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    resolved_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=6, choices=Verdict, blank=True)
    note = models.TextField(max_length=2000, blank=True)

    objects = QueueItemQuerySet.as_manager()

    class Meta:
        app_label = "conversations"
        db_table = "conversations_item"
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


class DailyCounts(models.Model):
    """Counts of one past day, for the figures: numbers only, not linked to anyone.

    `zone` is the name of the time zone that the day is in; `counts` is what `review.figures` counted, {} for a day
    without questions.
    """

    zone = models.CharField(max_length=64)
    day = models.DateField()
    counts = models.JSONField(default=dict)

    class Meta:
        app_label = "conversations"
        db_table = "conversations_dayofuse"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["zone", "day"], name="one_count_of_a_day")]

    def __str__(self) -> str:
        return f"Counts of {self.day}"
