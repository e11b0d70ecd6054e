from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from conversations.models.conversation import Conversation
from conversations.models.generation import Generation

if TYPE_CHECKING:
    from conversations.models.user import User

INSTRUCTIONS_CHARACTERS = 8_000
KEPT_VERSIONS = 20  # of each user and of each conversation, besides those with which an answer was written


class InstructionsQuerySet(models.QuerySet["Instructions"]):
    def of(self, user: "User | int", conversation: Conversation | None = None) -> "InstructionsQuerySet":
        """Keep the versions of a conversation's instructions or, without one, of a user's for all conversations."""
        return self.filter(owner=user, conversation=conversation)

    def about(self, conversations: Any) -> "InstructionsQuerySet":
        """Keep what belongs to these conversations: versions of their own, and those of the user that were sent."""
        sent = Generation.objects.filter(conversation__in=conversations, user_instructions=OuterRef("pk"))
        return self.filter(Q(conversation__in=conversations) | Exists(sent)).order_by("pk")

    def removable(self) -> "InstructionsQuerySet":
        """Keep versions that do not apply any more, and with which no answer was written."""
        sent = Q(user_instructions=OuterRef("pk")) | Q(conversation_instructions=OuterRef("pk"))
        return self.exclude(Exists(Generation.objects.filter(sent))).filter(applied_to_user=None, applied_to=None)


class Instructions(models.Model):
    """A version of what a user tells the model, in all conversations or in one. Versions are added, never changed.

    `User.instructions` and `Conversation.instructions` are the versions that apply. An empty one switches them off.
    """

    # Without constraints in Django's sense: a version from before this table, side by side or after a rollback, can
    # delete users and conversations. On PostgreSQL the database deletes these rows with them (migration 0030).
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="instruction_versions", db_constraint=False
    )
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, null=True, related_name="instruction_versions", db_constraint=False
    )
    content = models.TextField(max_length=INSTRUCTIONS_CHARACTERS, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = InstructionsQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        # The text is content, which must not appear in logs and in the administration.
        return f"Instructions {self.pk}"
