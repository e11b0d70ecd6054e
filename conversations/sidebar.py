"""Updates for the list of conversations beside an open one."""

from django.db.models import Q

from conversations.models import Conversation, Generation
from conversations.models.conversation import ConversationQuerySet, place_of
from conversations.rendering import fragments

MAX_MISSED = 30  # conversations that a page which was disconnected for long is told about


class Sidebar:
    """What one page's list shows: titles, where an answer runs, and the order of the newest.

    `top` is the cursor of the conversation at the top of the list; None for a page without a list.
    """

    def __init__(self, top: str) -> None:
        self.top = place_of(top)
        self._pending: set[str] = set()  # ids of conversations that changed
        self._shown: tuple[str, bool] | None = None  # of the page's own conversation: title, and whether it is answered

    def note_change(self, conversation_id: str) -> None:
        """Include another conversation of this user in the next update."""
        self._pending.add(conversation_id)

    def update(self, user_id: int, own: Conversation, *, running: bool) -> list[str]:
        """Return the fragments that bring the list and the page's title up to date. Blocking: it reads the database.

        `own` is the page's conversation as it was read just now; `running` is whether an answer runs in it.
        """
        # The first update finds by itself what changed before it, so changes noted until then wait for the second.
        pending, own.running = set(self._pending) if self._shown else set(), running
        others = self._read(user_id, pending).exclude(pk=own.pk) if pending or not self._shown else []
        found = list(others if self._shown else others[:MAX_MISSED])
        # A page that has just connected shows nothing as running.
        top, shown = self.top, self._shown or (own.title, False)
        parts = [fragments.title(own.title)] if own.title != shown[0] else []
        deleted = pending - {str(conversation.pk) for conversation in found}
        parts += [fragments.remove(f"listed-{pk}") for pk in deleted]
        if shown != (own.title, running) or own.updated_at > top[0]:
            found.append(own)
        for conversation in sorted(found, key=lambda conversation: conversation.updated_at):
            is_newer = conversation.updated_at > top[0]
            parts.append(fragments.listed(conversation, own, at_top=is_newer and conversation.pk != top[1]))
            if is_newer:
                top = conversation.updated_at, conversation.pk
        self.top, self._shown = top, (own.title, running)
        self._pending -= pending
        return parts

    def _read(self, user_id: int, pending: set[str]) -> ConversationQuerySet:
        """Return what changed; at first, what is newer than the page's list, or being answered."""
        conversations = Conversation.objects.visible_to(user_id).listed()
        if self._shown is not None:
            return conversations.filter(pk__in=pending)
        live = Generation.objects.live().filter(owner=user_id).values("conversation")
        return conversations.filter(Q(updated_at__gt=self.top[0]) | Q(pk__in=live))
