"""Why an action is refused, as sentences for the person who asked for it."""

from conversations import limits
from conversations.models import Conversation


class Refused(Exception):
    """The action is not allowed now. The message is for the user; `conversation` is the one concerned, if there is one.

    Refused
    ├── DailyLimitReached    the prompt needs more than is left of the user's tokens of the day
    ├── QueueFull            as many of the user's questions wait as may
    ├── Unavailable          the site cannot do it now; it may soon
    └── Held                 it would delete or overwrite what a legal hold protects
    """

    def __init__(self, sentence: str, conversation: Conversation | None = None) -> None:
        super().__init__(sentence)
        self.conversation = conversation


class DailyLimitReached(Refused):
    pass


class QueueFull(Refused):
    pass


class Unavailable(Refused):
    pass


class Held(Refused):
    pass


def by_limit(sentence: str) -> Refused:
    """Return the refusal for a sentence of `conversations.limits`."""
    return (QueueFull if sentence == limits.QUEUE_FULL else Refused)(sentence)
