from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AbstractUser, Group, Permission
from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property

from conversations.models import permissions


class Theme(models.TextChoices):
    SYSTEM = "", "Same as my device"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class Fold(models.TextChoices):
    """When the pane with a model's reasoning stands open by itself."""

    THINKING = "thinking", "Show while the model is thinking"
    ALWAYS = "always", "Always show"
    NEVER = "never", "Hide until I open it"


class User(AbstractUser):
    """A person who signs in, and how they like the page. allauth keeps the e-mail addresses, verified, beside it."""

    _ungiven = frozenset(map(permissions.full, permissions.REVIEW))

    theme = models.CharField("theme", max_length=5, choices=Theme, default=Theme.SYSTEM, blank=True)
    reasoning = models.CharField("reasoning", max_length=8, choices=Fold, default=Fold.THINKING)
    single_keys = models.BooleanField("Use single-key shortcuts (press ? in a conversation to list them)", default=True)

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

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        # Django gives a superuser everything; to look into conversations must be granted, and that is written down.
        if perm in self._ungiven:
            return self.is_active and perm in self.review_permissions
        return super().has_perm(perm, obj)

    async def ahas_perm(self, perm: str, obj: Any = None) -> bool:
        return await sync_to_async(self.has_perm)(perm, obj)

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        granted = self.review_permissions if self.is_active else frozenset()
        return (super().get_all_permissions(obj) - self._ungiven) | granted

    @cached_property
    def review_permissions(self) -> frozenset[str]:
        """Return which review permissions this person, or a group of theirs, was granted."""
        held = Permission.objects.filter(content_type__app_label="conversations", codename__in=permissions.REVIEW)
        held = held.filter(Q(user=self) | Q(group__user=self))
        return frozenset(permissions.full(codename) for codename in held.values_list("codename", flat=True))

    @property
    def initials(self) -> str:
        """Return one or two letters to stand for the person where there is no room for the name."""
        words = (self.get_full_name() or self.username).replace("_", " ").replace(".", " ").split()
        return "".join(word[0] for word in words[:2]).upper()
