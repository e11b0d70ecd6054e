"""What the owner of a conversation sees of its reviews."""

from conversations.models import Conversation
from conversations.review.models import AuditEntry, AuditQuerySet

NEWEST = 2


def review_notices(conversation: Conversation) -> AuditQuerySet:
    """Return the newest reviews of a conversation that its owner may see."""
    entries = AuditEntry.objects.visible_to_owner(conversation.owner_id)
    return entries.filter(conversation_id=conversation.pk)[:NEWEST]
