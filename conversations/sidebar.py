"""Updates for the list of conversations beside an open one."""

import uuid
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from conversations.models import Conversation, Generation
from conversations.rendering import fragments

MAX_MISSED = 30  # conversations that the first update includes


class Shown(NamedTuple):
    """What a page shows of its own conversation."""

    title: str
    is_live: bool
    placement: int | None
    updated_at: datetime
    folder: int | None


class Sidebar:
    """What the list on one page shows: titles, which conversations are live, and the order.

    `newest` is the parsed cursor of the conversation that changed last, of those on the page; `placement` that of the
    page's own conversation, if it is known.
    """

    def __init__(self, newest: tuple[datetime, uuid.UUID], placement: int | None = None) -> None:
        self._newest = newest
        self._placement = placement
        self._pending: set[str] = set()  # ids of conversations that changed
        self._shown: Shown | None = None  # unknown until the first update

    def note_change(self, conversation_id: str) -> None:
        """Include another conversation of this user in the next update. Raises ValueError for what is no id."""
        self._pending.add(str(uuid.UUID(conversation_id)))

    def update(self, user_id: int, own: Conversation) -> list[str]:
        """Return the fragments that update the list and the page's title. Blocking: it reads the database.

        `own` is the page's conversation as it is now, including `is_live`.
        """
        others = Conversation.objects.visible_to(user_id).with_liveness().exclude(pk=own.pk)
        if self._shown is None:
            # This finds all changes before it by itself. Those that were noted meanwhile are left for the next update.
            pending: set[str] = set()
            live = Generation.objects.live().filter(owner=user_id).values("conversation")
            missed = others.listed().filter(Q(updated_at__gt=self._newest[0]) | Q(pk__in=live))
            found = list(missed[:MAX_MISSED])
        else:
            pending = set(self._pending)
            found = list(others.filter(pk__in=pending)) if pending else []
        # A page that has just connected shows no conversation as live.
        placement = own.placement if self._placement is None else self._placement
        shown = self._shown or Shown(own.title, False, placement, min(own.updated_at, self._newest[0]), own.folder_id)
        now = Shown(own.title, own.is_live, own.placement, own.updated_at, own.folder_id)
        parts = [fragments.title(own.title)] if now.title != shown.title else []
        parts += [fragments.placement(own)] if now.placement != shown.placement else []
        if now != shown:
            found.append(own)
        listed = sorted((c for c in found if not c.is_archived), key=lambda conversation: conversation.updated_at)
        gone = pending | {str(c.pk) for c in found if c.is_archived}
        parts += [fragments.remove(f"listed-{pk}") for pk in sorted(gone - {str(c.pk) for c in listed})]
        parts += [fragments.listed(conversation, own.pk) for conversation in listed]
        self._shown = now
        self._pending -= pending
        return parts
