from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

HOLD_DAYS = 90  # the longest that people may be left in the dark
CASE_LIFE = timedelta(hours=8)  # a working day: after it the reason is asked for anew


class CaseQuerySet(models.QuerySet):
    def open_of(self, reviewer: Any) -> "CaseQuerySet":
        """Keep the case this person works on, if there is one that has not run out."""
        return self.filter(reviewer=reviewer, ended_at=None, begun_at__gt=timezone.now() - CASE_LIFE)

    def held_back(self) -> "CaseQuerySet":
        """Keep the cases of which the people concerned are not told yet."""
        return self.filter(hold_until__gt=timezone.now())

    def awaiting_approval(self) -> "CaseQuerySet":
        """Keep the cases whose reviewer asked to hold notices back, and nobody has answered yet."""
        return self.filter(hold_days__isnull=False, hold_until=None)


class Case(models.Model):
    """Why a reviewer looks at content: stated before any is shown, it holds until it ends or `CASE_LIFE` is over."""

    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="cases")
    reason = models.CharField(max_length=80)
    note = models.TextField(blank=True)
    begun_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    # The people concerned are told at once, unless another reviewer agrees to hold it back for so many days.
    hold_days = models.PositiveSmallIntegerField(null=True)
    hold_why = models.TextField(blank=True)
    hold_approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    hold_until = models.DateTimeField(null=True)

    objects = CaseQuerySet.as_manager()

    class Meta:
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
