"""A person's saved prompts. While a legal hold covers the person, none is overwritten or deleted."""

from django.db import transaction

from conversations import limits
from conversations.actions.refusals import Refused
from conversations.actions.rows import lock_user, lock_user_unless_held
from conversations.models import SavedPrompt, User


def save_prompt(*, user: User, name: str, text: str) -> SavedPrompt:
    """Create a saved prompt. Raises `Refused` if the user has `limits.SAVED_PROMPTS`."""
    with transaction.atomic():
        lock_user(user.pk)
        if SavedPrompt.objects.visible_to(user).count() >= limits.SAVED_PROMPTS:
            raise Refused(f"You have {limits.SAVED_PROMPTS} saved prompts. Delete one, then try again.")
        return SavedPrompt.objects.create(owner=user, name=name, text=text)


def change_prompt(*, prompt: SavedPrompt, name: str, text: str) -> None:
    """Change the name and the text of a saved prompt. Raises `Held`."""
    with transaction.atomic():
        lock_user_unless_held(prompt.owner_id, "You cannot change this prompt yet")
        SavedPrompt.objects.filter(pk=prompt.pk).update(name=name, text=text)


def delete_prompt(*, prompt: SavedPrompt) -> None:
    """Delete a saved prompt. Raises `Held`."""
    with transaction.atomic():
        lock_user_unless_held(prompt.owner_id, "You cannot delete this prompt yet")
        SavedPrompt.objects.filter(pk=prompt.pk).delete()
