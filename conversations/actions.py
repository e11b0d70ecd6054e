"""Every write with side effects: validate, one short transaction, ring the doorbell after commit."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from conversations.control import doorbell
from conversations.inference.prompt import estimate_tokens
from conversations.models import Conversation, Generation, LegalHold, Message, Role, Status, User
from conversations.models.conversation import TITLE_CHARACTERS, title_from
from conversations.models.generation import RUNNING
from conversations.models.prepared import prepared


class OverBudget(Exception):
    """What is left of this person's `USER_DAILY_TOKENS` does not do; the message is the sentence they read."""


def tokens_today(user: User) -> int:
    """Return how many tokens this person's prompts have cost since midnight, in the site's time zone."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return Generation.objects.filter(owner=user, created_at__gte=midnight).tokens()


def send_message(
    *, user: User, content: str, key: uuid.UUID | None = None, conversation: Conversation | None = None
) -> Generation:
    """Store a prompt, an empty answer and its queued generation; return the generation.

    Without `conversation` a new one begins. The same `key` again returns what it made the first time.
    """

    def write() -> Generation:
        nonlocal conversation
        if conversation is None:
            conversation = Conversation.objects.create(owner=user, title=title_from(content))
        conversation = _lock(conversation)
        prompt = Message.objects.create(
            conversation=conversation, parent_id=conversation.leaf_id, role=Role.USER, content=content
        )
        return _queue_answer(conversation, prompt, key)

    return _once(user, key, write, content)


def edit(*, user: User, prompt: Message, content: str, key: uuid.UUID | None = None) -> Generation:
    """Ask something else in the place of `prompt`, which stays as a version; return the generation.

    What still runs or waits below the old one is stopped first.
    """

    def write() -> Generation:
        conversation = _lock(prompt.conversation)
        for generation in Generation.objects.live_below(prompt):
            stop(generation=generation)
        edited = Message.objects.create(
            conversation=conversation, parent_id=prompt.parent_id, role=Role.USER, content=content
        )
        return _queue_answer(conversation, edited, key)

    return _once(user, key, write, content)


def regenerate(*, user: User, message: Message, key: uuid.UUID | None = None) -> Generation:
    """Ask again for an answer; return the new generation.

    An answer without any text is generated anew in its place; one with text stays, and the new one stands beside it as
    another version. An answer that is still being generated is returned as it is.
    """

    def write() -> Generation:
        conversation = _lock(message.conversation)
        current = Message.objects.get(pk=message.pk)  # read after the lock: a double click has ended its wait by now
        if current.generation is not None and current.generation.is_live:
            return current.generation
        if current.content or current.reasoning:
            return _queue_answer(conversation, current.parent, key)
        without_thinking = current.generation is not None and current.generation.without_thinking
        return _queue(conversation, current, key, without_thinking=without_thinking)

    return _once(user, key, write)


def go_on(*, user: User, message: Message, key: uuid.UUID | None = None) -> Generation:
    """Go on with an answer that was cut, in its place; return the new generation.

    Without any answer there is nothing to go on with: then it is asked for again. One that is still being generated is
    returned as it is.
    """

    def write() -> Generation:
        conversation = _lock(message.conversation)
        current = Message.objects.get(pk=message.pk)
        if current.is_live:
            return current.generation
        if not current.content:
            return regenerate(user=user, message=current, key=key)
        return _queue(conversation, current, key, joined_at=len(current.content))

    return _once(user, key, write)


def answer_now(*, user: User, generation: Generation, key: uuid.UUID | None = None) -> Generation:
    """Stop a generation that thinks, if it has not ended, and ask again without thinking; return the new generation.

    The thought stays as a version. What has an answer already, or waits, is returned as it is.
    """

    def write() -> Generation:
        conversation = _lock(generation.conversation)
        current = Generation.objects.select_related("message__parent").get(pk=generation.pk)
        thought, prompt = current.message, current.message.parent
        if current.status in (Status.QUEUED, Status.ANSWERING) or thought.content:
            return current
        if asked := Generation.objects.live().filter(message__parent=prompt, without_thinking=True).first():
            return asked
        answer = _queue_answer(conversation, prompt, key, without_thinking=True)
        if current.is_live:
            stop(generation=current)
            _follow(conversation, thought, answer.message)
        return answer

    return _once(user, key, write)


def take_back(*, generation: Generation) -> str | None:
    """Delete a generation that still waits, with what was stored for it alone; None if its turn has come.

    Return the prompt if that went with it, '' if it has been answered before. What was asked after it follows what it
    followed. A conversation in which nothing is left is deleted.
    """
    with transaction.atomic():
        conversation = _lock(generation.conversation)
        # Locked and looked at once more: somebody has claimed it by now, or nobody can.
        waiting = Generation.objects.select_for_update().filter(pk=generation.pk, status=Status.QUEUED).first()
        if waiting is None:
            return None
        waiting.delete()
        _ring_conversation(conversation.pk)
        _ring_list(conversation.owner_id, conversation.pk)
        answer = Message.objects.select_related("parent").get(pk=generation.message_id)
        if answer.generation is not None:
            return ""
        prompt = answer.parent
        other = prompt.children.exclude(pk=answer.pk).last()
        before = other.pk if other else prompt.parent_id
        answer.children.update(parent=before)
        was_shown = conversation.leaf_id == answer.pk
        (answer if other else prompt).delete()
        if not conversation.messages.exists():
            conversation.delete()
        elif was_shown:
            Conversation.objects.filter(pk=conversation.pk).update(leaf=conversation.tree().newest_leaf(before))
        return "" if other else prompt.content


def select(*, message: Message) -> None:
    """Show the version of a turn that `message` is, with the newest of what followed it."""
    leaf = message.conversation.tree().newest_leaf(message.pk)
    Conversation.objects.filter(pk=message.conversation_id).update(leaf=leaf)
    _ring_conversation(message.conversation_id)


def stop(*, generation: Generation) -> None:
    """Stop a generation: at once while it is queued, else by asking its worker, wherever that runs."""
    now = timezone.now()
    queued = Generation.objects.filter(pk=generation.pk, status=Status.QUEUED)
    if queued.update(status=Status.STOPPED, stop_requested=True, finished_at=now):
        _ring_list(generation.owner_id, generation.conversation_id)
    else:  # its worker rings when it has ended
        Generation.objects.filter(pk=generation.pk, status__in=RUNNING).update(stop_requested=True)
    transaction.on_commit(lambda: doorbell.ring("stop", generation.pk))
    _ring_conversation(generation.conversation_id)


def rename(*, conversation: Conversation, title: str) -> None:
    with transaction.atomic():
        Conversation.objects.filter(pk=conversation.pk).update(title=title[:TITLE_CHARACTERS])
        _ring_conversation(conversation.pk)
        _ring_list(conversation.owner_id, conversation.pk)


def delete(*, conversation: Conversation) -> bool:
    """Delete a conversation with all it holds; what still runs is stopped first. False if a legal hold keeps it."""
    with transaction.atomic():
        holds = LegalHold.objects.in_force()
        if holds.filter(Q(conversation=conversation) | Q(user=conversation.owner_id)).exists():
            return False
        LegalHold.objects.filter(conversation=conversation).delete()  # those that were lifted
        for generation in conversation.generations.live():
            stop(generation=generation)
        Conversation.objects.filter(pk=conversation.pk).delete()
        _ring_conversation(conversation.pk)
        _ring_list(conversation.owner_id, conversation.pk)
    return True


def _once(user: User, key: uuid.UUID | None, write: Callable[[], Generation], content: str = "") -> Generation:
    """Run `write` in a transaction, unless this person's `key` has been used: then return what it made.

    Raises `OverBudget` before anything is stored; `content` is what is asked anew.
    """
    earlier = Generation.objects.visible_to(user).filter(key=key) if key else Generation.objects.none()
    if settings.USER_DAILY_TOKENS and (sentence := _over_budget(user, content)):
        if generation := earlier.first():
            return generation
        raise OverBudget(sentence)
    try:
        with transaction.atomic():
            return write()
    except IntegrityError:
        # The constraint on keys tells, also two requests that come at once: nobody pays for asking first.
        if generation := earlier.first():
            return generation
        raise


def _over_budget(user: User, content: str) -> str:
    """Return why a person may not ask this today; '' if they may. What the model will say is not known yet."""
    used, a_day = tokens_today(user), settings.USER_DAILY_TOKENS
    midnight = f"from midnight on ({timezone.get_current_timezone_name()})"
    if used >= a_day:
        return f"You have used {used:,} tokens today, and {a_day:,} are what a day has. You can ask again {midnight}."
    if (needed := estimate_tokens(content)) > a_day - used:
        left = f"Of the {a_day:,} tokens that a day has you have {a_day - used:,} left"
        return f"{left}, and this alone needs about {needed:,}. Shorten it, or ask {midnight}."
    return ""


def _lock(conversation: Conversation) -> Conversation:
    """Return the row as it is now, locked, so that two prompts at once follow each other in the tree."""
    if not (found := _locked(conversation.pk)):
        raise Conversation.DoesNotExist
    return found[0]


@prepared
def _locked(pk: Any) -> QuerySet:
    return Conversation.objects.select_for_update().filter(pk=pk)


def _queue_answer(conversation: Conversation, prompt: Message, key: uuid.UUID | None, **fields: Any) -> Generation:
    answer = Message.objects.create(conversation=conversation, parent=prompt, role=Role.ASSISTANT)
    conversation.leaf = answer
    conversation.updated_at = timezone.now()
    conversation.save(update_fields=["leaf", "updated_at"])
    return _queue(conversation, answer, key, **fields)


def _queue(conversation: Conversation, answer: Message, key: uuid.UUID | None, **fields: Any) -> Generation:
    generation = Generation.objects.create(
        message=answer, conversation=conversation, owner_id=conversation.owner_id, key=key, **fields
    )
    transaction.on_commit(lambda: doorbell.ring("queued", generation.pk))
    _ring_conversation(conversation.pk)
    _ring_list(conversation.owner_id, conversation.pk)
    return generation


def _follow(conversation: Conversation, old: Message, new: Message) -> None:
    """Let what waits behind the answer `old` follow the answer `new`, and be answered after it."""
    behind = Generation.objects.live_below(old).filter(status=Status.QUEUED).order_by("pk")
    waiting = list(behind.select_for_update())
    old.children.update(parent=new)
    conversation.leaf_id = conversation.tree().newest_leaf(new.pk)
    conversation.save(update_fields=["leaf"])
    # A conversation's queue goes by the order of its rows: those that were queued earlier are queued anew.
    for generation in waiting:
        generation.delete()
        generation.save(force_insert=True)
        transaction.on_commit(partial(doorbell.ring, "queued", generation.pk))


def _ring_conversation(pk: uuid.UUID) -> None:
    transaction.on_commit(lambda: doorbell.ring(f"conversation.{pk}", pk))


def _ring_list(owner: int, pk: uuid.UUID) -> None:
    """Tell this person's pages, whichever conversation they show, that the one with this id is listed otherwise."""
    transaction.on_commit(lambda: doorbell.ring(f"list.{owner}", pk))
