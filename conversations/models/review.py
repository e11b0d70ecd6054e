from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

CASE_LIFE = timedelta(hours=8)  # a working day: after it the reason is asked for anew


class CaseQuerySet(models.QuerySet):
    def open_of(self, reviewer: Any) -> "CaseQuerySet":
        """Keep the case this person works on, if there is one that has not run out."""
        return self.filter(reviewer=reviewer, ended_at=None, begun_at__gt=timezone.now() - CASE_LIFE)


class Case(models.Model):
    """Why a reviewer looks at content: stated before any is shown, it holds until it ends or `CASE_LIFE` is over."""

    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="cases")
    reason = models.CharField(max_length=80)
    note = models.TextField(blank=True)
    begun_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    objects = CaseQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["reviewer"], condition=Q(ended_at=None), name="one_open_case_for_a_reviewer"
            )
        ]

    def __str__(self) -> str:
        return f"Case {self.pk}"
