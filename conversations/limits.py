"""Limits for one user: waiting questions, stored text and files, folders and more."""

from typing import Any

from django.db.models import QuerySet

from conversations.models import Generation, Message, Status, StoredText
from conversations.models.prepared import prepared

QUEUED_PROMPTS = 10
QUEUE_FULL = (
    f"You already have {QUEUED_PROMPTS} questions waiting. Cancel one, or wait until one of them is being answered,"
    " then ask again."
)
FOLDERS = 100
SAVED_PROMPTS = 100
IMPORTED = 50_000  # conversations of one person, after which no more are imported: archives take memory for each
PINNED = 20  # conversations; more would leave no room for others in the list
CONTINUED_CHARACTERS = 2_000_000  # of an answer with its reasoning, beyond which it cannot be continued
STORED_BYTES = 500_000_000  # of UTF-8 and of files; years of questions, reasoning and answers for most people


def would_reach(user_id: int, content: str) -> str:
    """Return why a user may not send another question, as sentences for them; "" if they may.

    Of concurrent questions, `reached` refuses those that are too many. This one saves the work of storing them.
    """
    return _sentence(_size(user_id), len(content.encode()), len(_queued(user_id)) + 1)


def reached(user_id: int) -> str:
    """Return why what the current transaction has stored and queued is too much, as sentences for the user; or "".

    The row that this locks makes concurrent transactions for the same user wait, so that these limits hold for what all
    of them commit.
    """
    return _sentence(_locked_size(user_id), 0, len(_queued(user_id)))


def full(user_id: int, then: str = "attach it again") -> str:
    """Return why what the current transaction has stored is too much, as sentences for the user; or "".

    `then` is what to do after making room. Locks like `reached`.
    """
    return _too_much(_locked_size(user_id), 0, then)


def too_long_to_continue(answer: Message) -> str:
    """Return why an answer cannot be continued, as sentences for its owner; "" if it can."""
    if len(answer.content) + len(answer.reasoning) <= CONTINUED_CHARACTERS:
        return ""
    return "This answer is too long to be continued. Ask for the rest in a new question."


def stored_text(user_id: int) -> tuple[str, str]:
    """Return how much text a user has stored and how much they may store, for people to read."""
    return megabytes(sum(size for (size,) in _size(user_id))), megabytes(STORED_BYTES)


def megabytes(number: int) -> str:
    return f"{number / 1_000_000:,.1f} MB"


def _sentence(stored: list[tuple[int]], added: int, queued: int) -> str:
    if queued > QUEUED_PROMPTS:
        return QUEUE_FULL
    return _too_much(stored, added, "ask again")


def _too_much(stored: list[tuple[int]], added: int, then: str) -> str:
    size = sum(size for (size,) in stored)
    if size + added <= STORED_BYTES:
        return ""
    return (
        f"You've used {megabytes(size)} of the {megabytes(STORED_BYTES)} for your conversations, so this does not"
        f" fit. Delete conversations that you no longer need, then {then}."
    )


@prepared
def _size(user: Any) -> QuerySet[Any, Any]:
    return StoredText.objects.filter(user=user).values_list("bytes")


@prepared
def _locked_size(user: Any) -> QuerySet[Any, Any]:
    return StoredText.objects.select_for_update().filter(user=user).values_list("bytes")


@prepared
def _queued(user: Any) -> QuerySet[Any, Any]:
    return Generation.objects.filter(owner=user, status=Status.QUEUED).values_list("pk")
