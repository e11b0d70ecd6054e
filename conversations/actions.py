"""Every write with side effects: validate, one short transaction, ring the doorbell after commit."""

import uuid
from collections.abc import Callable

from django.db import IntegrityError, transaction
from django.utils import timezone

from conversations.control import doorbell
from conversations.models import Conversation, Generation, Message, Role, Status, User
from conversations.models.conversation import TITLE_CHARACTERS, title_from
from conversations.models.generation import RUNNING


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

    return _once(user, key, write)


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
        return _queue(conversation, current, key)

    return _once(user, key, write)


def select(*, message: Message) -> None:
    """Show the version of a turn that `message` is, with the newest of what followed it."""
    leaf = message.conversation.tree().newest_leaf(message.pk)
    Conversation.objects.filter(pk=message.conversation_id).update(leaf=leaf)
    _ring_conversation(message.conversation_id)


def stop(*, generation: Generation) -> None:
    """Stop a generation: at once while it is queued, else by asking its worker, wherever that runs."""
    now = timezone.now()
    queued = Generation.objects.filter(pk=generation.pk, status=Status.QUEUED)
    if not queued.update(status=Status.STOPPED, stop_requested=True, finished_at=now):
        Generation.objects.filter(pk=generation.pk, status__in=RUNNING).update(stop_requested=True)
    transaction.on_commit(lambda: doorbell.ring("stop", generation.pk))
    _ring_conversation(generation.conversation_id)


def rename(*, conversation: Conversation, title: str) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(title=title[:TITLE_CHARACTERS])


def delete(*, conversation: Conversation) -> None:
    """Delete a conversation with all it holds; what still runs is stopped first."""
    with transaction.atomic():
        for generation in conversation.generations.live():
            stop(generation=generation)
        Conversation.objects.filter(pk=conversation.pk).delete()
        _ring_conversation(conversation.pk)


def _once(user: User, key: uuid.UUID | None, write: Callable[[], Generation]) -> Generation:
    """Run `write` in a transaction, unless this person's `key` has been used: then return what it made."""
    earlier = Generation.objects.visible_to(user).filter(key=key) if key else Generation.objects.none()
    if generation := earlier.first():
        return generation
    try:
        with transaction.atomic():
            generation = write()
    except IntegrityError:
        # Two requests with one key: the constraint let one through, and this is the other.
        if generation := earlier.first():
            return generation
        raise
    return generation


def _lock(conversation: Conversation) -> Conversation:
    """Return the row as it is now, locked, so that two prompts at once follow each other in the tree."""
    return Conversation.objects.select_for_update().get(pk=conversation.pk)


def _queue_answer(conversation: Conversation, prompt: Message, key: uuid.UUID | None) -> Generation:
    answer = Message.objects.create(conversation=conversation, parent=prompt, role=Role.ASSISTANT)
    conversation.leaf = answer
    conversation.updated_at = timezone.now()
    conversation.save(update_fields=["leaf", "updated_at"])
    return _queue(conversation, answer, key)


def _queue(conversation: Conversation, answer: Message, key: uuid.UUID | None) -> Generation:
    generation = Generation.objects.create(
        message=answer, conversation=conversation, owner_id=conversation.owner_id, key=key
    )
    transaction.on_commit(lambda: doorbell.ring("queued", generation.pk))
    _ring_conversation(conversation.pk)
    return generation


def _ring_conversation(pk: uuid.UUID) -> None:
    transaction.on_commit(lambda: doorbell.ring(f"conversation.{pk}", pk))
