"""Archives of everything that a person owns. The files are in the storage: see `conversations.archives`."""

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from conversations.models.user import User

KEPT_DAYS = 7


class ArchiveState(models.TextChoices):
    """Where an archive is: waiting, being written, ready, failed, about to be deleted, or deleted."""

    QUEUED = "queued"
    WRITING = "writing"
    READY = "ready"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


UNFINISHED = (ArchiveState.QUEUED, ArchiveState.WRITING)


class ArchiveQuerySet(models.QuerySet["Archive"]):
    def visible_to(self, user: "User | int") -> "ArchiveQuerySet":
        """Keep what this person may download. Nobody else may."""
        return self.filter(owner=user)

    def downloadable(self) -> "ArchiveQuerySet":
        return self.filter(state=ArchiveState.READY, expires_at__gt=timezone.now())


def expiry() -> datetime:
    """Return when an archive that is ready now expires."""
    return timezone.now() + timedelta(days=KEPT_DAYS)


class Archive(models.Model):
    """One archive, from the request for it until its file has expired and is deleted.

    A row exists before its file and until after it, and the file's name follows from the row, so that no file is left
    behind by a process that dies. `attempt` is the fence: a process writes to the row only while it is its own. The row
    outlives its owner, until the file is deleted.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The database itself sets this to null with the user: an earlier version knows nothing of archives (0037).
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="archives", db_constraint=False
    )
    state = models.CharField(max_length=8, choices=ArchiveState, default=ArchiveState.QUEUED)
    reasoning = models.BooleanField()  # whether it has the reasoning
    attempt = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    beat_at = models.DateTimeField(null=True)  # when the process that writes it was last known to do so
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(default=expiry)
    size = models.BigIntegerField(null=True)  # in bytes
    error = models.TextField(blank=True)  # a sentence for its owner

    objects = ArchiveQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["owner"], condition=Q(state__in=UNFINISHED), name="one_archive_at_a_time")
        ]
        indexes = [
            models.Index(
                fields=["state"],
                condition=Q(owner=None) | Q(state__in=[*UNFINISHED, ArchiveState.DELETING]),
                name="archive_to_do",
            ),
            models.Index(fields=["expires_at"], name="archive_expiry"),
        ]

    def __str__(self) -> str:
        return f"Archive {self.pk}"

    @property
    def file_name(self) -> str:
        """Return the name in the storage of what this attempt writes."""
        return f"archives/{self.pk}-{self.attempt}"

    @property
    def file_names(self) -> list[str]:
        """Return the names of what all attempts so far may have written."""
        return [f"archives/{self.pk}-{attempt}" for attempt in range(1, self.attempt + 1)]

    @property
    def is_unfinished(self) -> bool:
        return self.state in UNFINISHED
