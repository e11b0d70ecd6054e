"""Change a user's instructions, for all their conversations or for one."""

from django.db import transaction
from django.db.models import Q, QuerySet

from conversations import limits
from conversations.actions.refusals import Refused
from conversations.models import Conversation, Instructions, LegalHold, User
from conversations.models.instructions import KEPT_VERSIONS


def save_instructions(*, user: User, content: str, conversation: Conversation | None = None) -> None:
    """Add a version of the user's instructions, or of a conversation's; nothing if it is the same as before.

    An empty version switches them off. It applies to what is asked from now on. Earlier versions are kept, up to
    `KEPT_VERSIONS` and those with which an answer was written. Raises `Refused`.
    """
    with transaction.atomic():
        holders: QuerySet[Conversation] | QuerySet[User] = User.objects.filter(pk=user.pk)
        if conversation:
            holders = Conversation.objects.visible_to(user).filter(pk=conversation.pk)
        locked = holders.select_for_update().get()
        if content == (locked.instructions.content if locked.instructions else ""):
            return
        version = Instructions.objects.create(owner=user, conversation=conversation, content=content)
        holders.update(instructions=version if content else None)
        if sentence := limits.reached(user.pk):
            raise Refused(sentence, conversation)
        _delete_old(user, conversation)


def _delete_old(user: User, conversation: Conversation | None) -> None:
    """Delete versions that are too many. The caller has locked what they belong to; see `LegalHold`."""
    held = Q(user=user) | Q(conversation=conversation.pk) if conversation else Q(user=user)
    if LegalHold.objects.in_force().filter(held).exists():
        return
    versions = Instructions.objects.of(user, conversation)
    old = list(versions.order_by("-pk").values_list("pk", flat=True)[KEPT_VERSIONS:])
    versions.removable().filter(pk__in=old).delete()
