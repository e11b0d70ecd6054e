"""The writes of owners that have side effects: one short transaction each, and events about what changed."""

from conversations.actions.attachments import attach, remove_attachment
from conversations.actions.conversations import archive, pin, rename
from conversations.actions.deletion import delete, delete_at_once, delete_several, purge, restore
from conversations.actions.feedback import give_feedback, rate
from conversations.actions.folders import archive_several, create_folder, delete_folder, move, rename_folder
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
from conversations.actions.refusals import DailyLimitReached, Held, QueueFull, Refused, Unavailable
from conversations.actions.saved_prompts import change_prompt, delete_prompt, save_prompt
from conversations.actions.shares import copy_share, create_share, revoke_share

__all__ = [
    "DailyLimitReached",
    "Held",
    "QueueFull",
    "Refused",
    "Unavailable",
    "answer_now",
    "archive",
    "archive_several",
    "attach",
    "cancel",
    "change_prompt",
    "continue_answer",
    "copy_share",
    "create_folder",
    "create_share",
    "delete",
    "delete_at_once",
    "delete_folder",
    "delete_prompt",
    "delete_several",
    "edit",
    "give_feedback",
    "move",
    "pin",
    "purge",
    "rate",
    "regenerate",
    "remove_attachment",
    "rename",
    "rename_folder",
    "restore",
    "revoke_share",
    "save_instructions",
    "save_prompt",
    "select",
    "send_message",
    "stop",
]
