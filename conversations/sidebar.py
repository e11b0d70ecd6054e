"""What a page's list of conversations shows, as far as its socket keeps it true."""

from django.db.models import Q

from conversations.models import Conversation, Generation
from conversations.models.conversation import ConversationQuerySet, place_of
from conversations.rendering import fragments

MOST = 30  # conversations that a page which was away for long is told of


class Sidebar:
    """The list beside one conversation: titles, where an answer runs, and what was asked last at the top.

    `top` is the cursor of what stands at its top; a page without it has no list to keep.
    """

    def __init__(self, top: str) -> None:
        self.top = place_of(top)
        self._rung: set[str] = set()
        self._told: tuple[str, bool] | None = None  # title, and whether an answer runs, of the page's own conversation

    def ring(self, conversation_id: str) -> None:
        self._rung.add(conversation_id)

    def parts(self, user_id: int, own: Conversation, *, running: bool) -> list[str]:
        """Return what brings the list to now, and the page's title; in a thread, since it asks the database.

        `own` is the page's conversation as it was read just now, and `running` whether an answer runs there.
        """
        # What rings before the first reading is looked at after it, by itself.
        rung, own.running = set(self._rung) if self._told else set(), running
        others = self._read(user_id, rung).exclude(pk=own.pk) if rung or not self._told else []
        found = list(others if self._told else others[:MOST])
        top, told = self.top, self._told or (own.title, False)  # a page that connects forgets where answers ran
        parts = [fragments.title(own.title)] if own.title != told[0] else []
        gone = rung - {str(conversation.pk) for conversation in found}
        parts += [fragments.remove(f"listed-{pk}") for pk in gone]
        if told != (own.title, running) or own.updated_at > top[0]:
            found.append(own)
        for conversation in sorted(found, key=lambda conversation: conversation.updated_at):
            is_newer = conversation.updated_at > top[0]
            parts.append(fragments.listed(conversation, own, at_top=is_newer and conversation.pk != top[1]))
            if is_newer:
                top = conversation.updated_at, conversation.pk
        self.top, self._told = top, (own.title, running)
        self._rung -= rung
        return parts

    def _read(self, user_id: int, rung: set[str]) -> ConversationQuerySet:
        """Return what was rung for; at first, what has been asked in since the page was made, or is being answered."""
        conversations = Conversation.objects.visible_to(user_id).listed()
        if self._told is not None:
            return conversations.filter(pk__in=rung)
        live = Generation.objects.live().filter(owner=user_id).values("conversation")
        return conversations.filter(Q(updated_at__gt=self.top[0]) | Q(pk__in=live))
