"""Why an action is refused, as sentences for the person who asked for it."""

from conversations.models import Conversation


class Refused(Exception):
    """The action is not allowed now. The message is for the user; `conversation` is the one concerned, if there is one.

    Refused
    ├── DailyLimitReached    the prompt needs more than is left of the user's tokens of the day
    └── Held                 it would delete or overwrite what a legal hold protects
    """

    def __init__(self, sentence: str, conversation: Conversation | None = None) -> None:
        super().__init__(sentence)
        self.conversation = conversation


class DailyLimitReached(Refused):
    pass


class Held(Refused):
    pass
