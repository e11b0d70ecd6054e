from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class LegalHoldQuerySet(models.QuerySet["LegalHold"]):
    def in_force(self) -> "LegalHoldQuerySet":
        return self.filter(lifted_at=None)

    def covering(self, conversation: Any, owner: Any) -> "LegalHoldQuerySet":
        """Keep holds in force on a conversation or its owner, each given by id or by a reference to an outer query."""
        return self.in_force().filter(Q(conversation=conversation) | Q(user=owner))


class LegalHold(models.Model):
    """While in force, nobody can delete or overwrite the user's or the conversation's data, not even after a period.

    What would do so locks the conversations first, or the user and then the user's conversations, and then asks for
    holds. Placing a hold waits for these locks, so that nothing is lost at the same moment.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="legal_holds"
    )
    conversation = models.ForeignKey("Conversation", models.PROTECT, null=True, blank=True, related_name="legal_holds")
    reason = models.CharField(
        max_length=200, help_text="The order or case that requires it. Only shown here and in the audit trail."
    )
    made_at = models.DateTimeField("created at", default=timezone.now, editable=False)
    lifted_at = models.DateTimeField(null=True, blank=True, help_text="When the hold ended. Empty while in force.")

    objects = LegalHoldQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user=None, conversation__isnull=False) | Q(user__isnull=False, conversation=None),
                name="a_hold_is_on_a_user_or_a_conversation",
            )
        ]

    def __str__(self) -> str:
        return f"Legal hold {self.pk}"
