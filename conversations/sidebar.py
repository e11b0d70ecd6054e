"""Updates for the list of conversations beside an open one."""

import uuid
from datetime import datetime

from django.db.models import Q

from conversations.models import Conversation, Generation
from conversations.rendering import fragments

MAX_MISSED = 30  # conversations that the first update includes


class Sidebar:
    """What the list on one page shows: titles, which conversations are live, and the order of the newest.

    `top` is the parsed cursor of the conversation at the top of the list.
    """

    def __init__(self, top: tuple[datetime, uuid.UUID]) -> None:
        self._top = top
        self._pending: set[str] = set()  # ids of conversations that changed
        self._shown: tuple[str, bool] | None = None  # title and `is_live` of the page's own conversation

    def note_change(self, conversation_id: str) -> None:
        """Include another conversation of this user in the next update. Raises ValueError for what is no id."""
        self._pending.add(str(uuid.UUID(conversation_id)))

    def update(self, user_id: int, own: Conversation) -> list[str]:
        """Return the fragments that update the list and the page's title. Blocking: it reads the database.

        `own` is the page's conversation as it is now, including `is_live`.
        """
        listed = Conversation.objects.visible_to(user_id).listed().exclude(pk=own.pk)
        if self._shown is None:
            # This finds all changes before it by itself. Those that were noted meanwhile are left for the next update.
            pending: set[str] = set()
            live = Generation.objects.live().filter(owner=user_id).values("conversation")
            found = list(listed.filter(Q(updated_at__gt=self._top[0]) | Q(pk__in=live))[:MAX_MISSED])
        else:
            pending = set(self._pending)
            found = list(listed.filter(pk__in=pending)) if pending else []
        top, shown = self._top, self._shown or (own.title, False)  # a page that has just connected shows none as live
        parts = [fragments.title(own.title)] if own.title != shown[0] else []
        deleted = pending - {str(conversation.pk) for conversation in found}
        parts += [fragments.remove(f"listed-{pk}") for pk in deleted]
        if shown != (own.title, own.is_live) or own.updated_at > top[0]:
            found.append(own)
        for conversation in sorted(found, key=lambda conversation: conversation.updated_at):
            is_newer = conversation.updated_at > top[0]
            parts.append(fragments.listed(conversation, own, at_top=is_newer and conversation.pk != top[1]))
            if is_newer:
                top = conversation.updated_at, conversation.pk
        self._top, self._shown = top, (own.title, own.is_live)
        self._pending -= pending
        return parts
