from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from conversations.models.user import User

NAME_CHARACTERS = 60


class FolderQuerySet(models.QuerySet["Folder"]):
    def visible_to(self, user: "User | int") -> "FolderQuerySet":
        return self.filter(owner=user)


class Folder(models.Model):
    """A group of conversations in their owner's list. Like `Conversation.placement`, it concerns nobody else."""

    # Without a constraint in Django's sense: a version from before this table, side by side or after a rollback, can
    # delete users. The database deletes these rows with them (migration 0038).
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="folders", db_constraint=False, db_index=False
    )
    name = models.CharField(max_length=NAME_CHARACTERS)
    key = models.CharField(max_length=3 * NAME_CHARACTERS, editable=False)  # see `key_of`

    objects = FolderQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_folder_of_a_name")]

    def __str__(self) -> str:
        # The name is content, which must not appear in logs and in the administration.
        return f"Folder {self.pk}"

    @property
    def group(self) -> str:
        """Return the id of its list of conversations on pages."""
        return group_of(self.pk)


def group_of(folder: Any) -> str:
    return f"folder-{folder}"


def key_of(name: str) -> str:
    """Return what names that differ only in case have in common; it can be three times as long."""
    return name.casefold()
