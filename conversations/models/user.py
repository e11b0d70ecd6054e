from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import AbstractUser, Group, Permission
from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property

from conversations.models import permissions
from conversations.models.generation import Depth


class Theme(models.TextChoices):
    SYSTEM = "", "Same as my device"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class ReasoningVisibility(models.TextChoices):
    """When a page shows a model's reasoning without being asked."""

    THINKING = "thinking", "Show while the model is thinking"
    ALWAYS = "always", "Always show"
    NEVER = "never", "Hide until I open it"


class User(AbstractUser):
    """An account with its preferences and, for a reviewer, the groups to review. allauth stores email addresses."""

    _review_permission_names = frozenset(map(permissions.full, permissions.REVIEW))

    theme = models.CharField("theme", max_length=5, choices=Theme, default=Theme.SYSTEM, blank=True)
    reasoning = models.CharField(
        "reasoning", max_length=8, choices=ReasoningVisibility, default=ReasoningVisibility.THINKING
    )
    # The name of the zone that the browser was in at the last visit; None if it has never said.
    time_zone = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001  (see migration 0021)
    single_keys = models.BooleanField("Use single-key shortcuts (press ? in a conversation to list them)", default=True)

    # For new conversations; empty leaves the choice to the site.
    model = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001  (0029)
    depth = models.CharField(max_length=6, choices=Depth, null=True, blank=True)  # noqa: DJ001  (0029)

    # The version that applies to the next question in any conversation; None if there are none.
    instructions = models.ForeignKey(
        "Instructions",
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="applied_to_user",
        db_index=False,
    )

    # When a password that `first_administrator` printed stops working. None: its owner chose the password.
    password_expires_at = models.DateTimeField(null=True, editable=False)

    review_limited = models.BooleanField(
        "can review only the groups below",
        default=False,
        help_text="If no groups are selected, this reviewer cannot review anyone.",
    )
    review_groups = models.ManyToManyField(
        Group,
        blank=True,
        related_name="reviewers",
        verbose_name="groups this person can review",
    )

    @cached_property
    def group_names(self) -> frozenset[str]:
        return frozenset(self.groups.values_list("name", flat=True))

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        # Django gives superusers every permission. Those to review must be granted, which the audit trail records.
        if perm in self._review_permission_names:
            return self.is_active and perm in self.review_permissions
        return super().has_perm(perm, obj)

    def get_session_auth_hash(self) -> str:
        # Where nobody signs in with a password, sessions that began with one have ended.
        return super().get_session_auth_hash() if settings.LOCAL_ACCOUNTS or not self.has_usable_password() else ""

    async def ahas_perm(self, perm: str, obj: Any = None) -> bool:
        return await sync_to_async(self.has_perm)(perm, obj)

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        granted = self.review_permissions if self.is_active else frozenset()
        return (super().get_all_permissions(obj) - self._review_permission_names) | granted

    @cached_property
    def review_permissions(self) -> frozenset[str]:
        """Return the review permissions that were granted to this user or to a group of theirs."""
        granted = Permission.objects.filter(content_type__app_label="conversations", codename__in=permissions.REVIEW)
        granted = granted.filter(Q(user=self) | Q(group__user=self))
        return frozenset(permissions.full(codename) for codename in granted.values_list("codename", flat=True))
