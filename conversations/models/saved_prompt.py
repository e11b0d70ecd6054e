from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from conversations.models.user import User

NAME_CHARACTERS = 60
PROMPT_CHARACTERS = 8_000


class SavedPromptQuerySet(models.QuerySet["SavedPrompt"]):
    def visible_to(self, user: "User | int") -> "SavedPromptQuerySet":
        return self.filter(owner=user)


class SavedPrompt(models.Model):
    """A text that somebody uses again and again, by its name."""

    # Without a constraint in Django's sense, like `Folder.owner`.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_prompts", db_constraint=False
    )
    name = models.CharField(max_length=NAME_CHARACTERS)
    text = models.TextField(max_length=PROMPT_CHARACTERS)

    objects = SavedPromptQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        # The name is content, which must not appear in logs and in the administration.
        return f"Saved prompt {self.pk}"
