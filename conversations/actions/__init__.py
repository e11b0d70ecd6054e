"""The writes of owners that have side effects: one short transaction each, and events about what changed."""

from conversations.actions.attachments import attach, remove_attachment
from conversations.actions.conversations import archive, delete, pin, rename
from conversations.actions.feedback import give_feedback, rate
from conversations.actions.instructions import save_instructions
from conversations.actions.questions import (
    answer_now,
    cancel,
    continue_answer,
    edit,
    regenerate,
    select,
    send_message,
    stop,
)
from conversations.actions.refusals import DailyLimitReached, Held, Refused

__all__ = [
    "DailyLimitReached",
    "Held",
    "Refused",
    "answer_now",
    "archive",
    "attach",
    "cancel",
    "continue_answer",
    "delete",
    "edit",
    "give_feedback",
    "pin",
    "rate",
    "regenerate",
    "remove_attachment",
    "rename",
    "save_instructions",
    "select",
    "send_message",
    "stop",
]
