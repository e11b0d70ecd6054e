from django.db import models

from conversations.models.review import Case


class Act(models.TextChoices):
    """What is written down. The owner of a conversation is shown the first four."""

    OPENED = "opened", "Read the conversation"
    REASONING = "reasoning", "Read what the model thought"
    FOUND = "found", "Saw passages of it in search results"
    EXPORTED = "exported", "Exported the conversation"
    CASE = "case", "Stated a reason"
    SEARCHED = "searched", "Searched what was said"
    HOLD_ASKED = "hold_asked", "Asked to hold the notice back"
    HOLD_GIVEN = "hold_given", "Agreed to hold the notice back"
    HELD = "held", "Forbade a deletion"
    LIFTED = "lifted", "Allowed a deletion again"
    PRUNED = "pruned", "Deleted what had outlived its period"
    TRIMMED = "trimmed", "Deleted the oldest rows of this trail"
    GRANTED = "granted", "Changed what somebody may review"


TOLD = (Act.OPENED, Act.REASONING, Act.FOUND, Act.EXPORTED)


class AuditQuerySet(models.QuerySet):
    def told_to(self, owner_id: int) -> "AuditQuerySet":
        """Keep what the owner of the conversations it is about is shown by now, newest first."""
        held_back = Case.objects.held_back().values("pk")
        return self.filter(owner_id=owner_id, act__in=TOLD).exclude(case_id__in=held_back).order_by("-number")


class AuditEntry(models.Model):
    """Who did what to whose conversation, when, why and from where: written once, by `review.audit.record` alone.

    Plain ids, so that no deletion reaches these rows; triggers refuse every change. `mac` is keyed and covers the row
    with its number and the `mac` before it: see docs/review.md for what that proves. The table is made by a migration
    and then left alone by Django (`managed`): `manage.py flush` and a rebuilt table would lose rows or triggers.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    at = models.DateTimeField()
    act = models.CharField(max_length=12, choices=Act)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=150, blank=True)
    address = models.CharField(max_length=45, blank=True)
    case_id = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=80, blank=True)
    note = models.TextField(blank=True)
    owner_id = models.BigIntegerField(null=True)
    conversation_id = models.UUIDField(null=True)
    message_id = models.BigIntegerField(null=True)
    details = models.JSONField(default=dict)  # strings, whole numbers and lists of them: what every database gives back
    previous = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)

    objects = AuditQuerySet.as_manager()

    class Meta:
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
