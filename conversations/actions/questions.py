"""Questions and answers: ask, edit, answer again, continue, stop, cancel, choose a version."""

import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from conversations import limits
from conversations.actions.refusals import DailyLimitReached, Refused
from conversations.actions.rows import delete_row, lock, lock_unless_held
from conversations.events import Topic, publish
from conversations.inference.allowance import estimate_prompt, release_unused, reserve_tokens
from conversations.inference.errors import TooFewTokens
from conversations.models import Conversation, Generation, Message, Role, Status, User
from conversations.models.conversation import Placement, title_from


def send_message(
    *, user: User, content: str, key: uuid.UUID | None = None, conversation: Conversation | None = None
) -> Generation:
    """Create a prompt, an empty answer and a queued generation; return the generation.

    Also create the conversation if it is not given. Using a `key` again returns the generation created with it. Raises
    `Refused`, also by a limit, like all actions that queue a generation.
    """

    def write() -> Generation:
        nonlocal conversation
        if sentence := limits.would_reach(user.pk, content):
            raise Refused(sentence)
        if conversation is None:
            conversation = Conversation.objects.create(owner=user, title=title_from(content))
        conversation = lock(conversation)
        prompt = Message.objects.create(
            conversation=conversation, parent_id=conversation.leaf_id, role=Role.USER, content=content
        )
        return _queue_answer(conversation, prompt, key)

    return _once(user, key, write)


def edit(*, user: User, prompt: Message, content: str, key: uuid.UUID | None = None) -> Generation:
    """Create another version of `prompt` and queue its answer; return the generation.

    Live generations below the old version are stopped.
    """

    def write() -> Generation:
        conversation = lock(prompt.conversation)
        for generation in Generation.objects.live_below(prompt):
            _stop_for_another(generation)
        edited = Message.objects.create(
            conversation=conversation, parent_id=prompt.parent_id, role=Role.USER, content=content
        )
        return _queue_answer(conversation, edited, key)

    return _once(user, key, write)


def regenerate(*, user: User, message: Message, key: uuid.UUID | None = None) -> Generation:
    """Queue another generation for an answer and return it; if the answer is live, return its generation.

    If the answer has text, the new text becomes another version.
    """

    def write() -> Generation:
        conversation = lock(message.conversation)
        # Read after locking, so that of a double click the second sees the first.
        return _regenerate(conversation, Message.objects.get(pk=message.pk), key)

    return _once(user, key, write)


def continue_answer(*, user: User, message: Message, key: uuid.UUID | None = None) -> Generation:
    """Queue the continuation of an answer and return it; if the answer is live, return its generation.

    An answer without content is regenerated.
    """

    def write() -> Generation:
        conversation = lock(message.conversation)
        current = Message.objects.get(pk=message.pk)
        if not current.content or current.is_live:
            return _regenerate(conversation, current, key)
        if sentence := limits.too_long_to_continue(current):
            raise Refused(sentence, conversation)
        return _queue(conversation, current, key, joined_at=len(current.content))

    return _once(user, key, write)


def answer_now(*, user: User, generation: Generation, key: uuid.UUID | None = None) -> Generation:
    """Stop a generation that is thinking, and queue an answer without thinking; return the new generation.

    The reasoning is kept as another version. If the generation is queued or has answer text, return it unchanged.
    """

    def write() -> Generation:
        conversation = lock(generation.conversation)
        current = Generation.objects.select_related("message__parent").get(pk=generation.pk)
        message, prompt = current.message, current.message.prompt
        if current.status in (Status.QUEUED, Status.ANSWERING) or message.content:
            return current
        if earlier := Generation.objects.live().filter(message__parent=prompt, without_thinking=True).first():
            return earlier
        if current.is_live:
            _stop_for_another(current)
        answer = _queue_answer(conversation, prompt, key, without_thinking=True)
        if current.is_live:
            _reparent(conversation, message, answer.message)
        return answer

    return _once(user, key, write)


def cancel(*, generation: Generation) -> str | None:
    """Delete a queued generation, with its answer and prompt unless they have other text; None if it has started.

    Return the prompt's text if the prompt was deleted, otherwise "". Later prompts are attached to what came before. An
    empty conversation is deleted. Raises `Held`.
    """
    with transaction.atomic():
        conversation = lock_unless_held(generation.conversation, "You cannot remove this question, only stop it")
        # Locked, so that no worker can claim it from here on.
        queued = Generation.objects.select_for_update().filter(pk=generation.pk, status=Status.QUEUED).first()
        if queued is None:
            return None
        queued.delete()
        publish(Topic.CONVERSATION_CHANGED, conversation.pk)
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)
        answer = Message.objects.select_related("parent").get(pk=generation.message_id)
        if answer.generation is not None:
            return ""
        prompt = answer.prompt
        other = prompt.children.exclude(pk=answer.pk).last()
        before = other.pk if other else prompt.parent_id
        answer.children.update(parent=before)
        was_shown = conversation.leaf_id == answer.pk
        (answer if other else prompt).delete()
        if not conversation.messages.exists():
            delete_row(conversation)
        elif was_shown:
            Conversation.objects.filter(pk=conversation.pk).update(leaf=conversation.tree().newest_leaf(before))
        return "" if other else prompt.content


def select(*, message: Message) -> None:
    """Show the branch through `message`, down to its newest leaf."""
    leaf = message.conversation.tree().newest_leaf(message.pk)
    Conversation.objects.filter(pk=message.conversation_id).update(leaf=leaf)
    publish(Topic.CONVERSATION_CHANGED, message.conversation_id)


def stop(*, generation: Generation) -> None:
    """Stop a generation: at once if it is queued, otherwise by a request to its worker."""
    is_queued = Q(status=Status.QUEUED)
    try:
        # One statement, so that a generation that is claimed or requeued meanwhile is stopped too.
        Generation.objects.live().filter(pk=generation.pk).update(
            stop_requested=True,
            status=Case(When(is_queued, then=Value(Status.STOPPED)), default=F("status")),
            finished_at=Case(When(is_queued, then=Value(timezone.now())), default=F("finished_at")),
        )
    finally:
        # A worker in reach stops even if this could not be written.
        publish(Topic.STOP_REQUESTED, generation.pk)
    publish(Topic.LIST_CHANGED, generation.owner_id, generation.conversation_id)
    publish(Topic.CONVERSATION_CHANGED, generation.conversation_id)


def _once(user: User, key: uuid.UUID | None, write: Callable[[], Generation]) -> Generation:
    """Run `write` in a transaction. If this user has used `key` before, return the generation created with it."""
    try:
        with transaction.atomic():
            return write()
    except (IntegrityError, Refused):
        # The unique constraint finds used keys without a query, also between concurrent requests.
        earlier = Generation.objects.visible_to(user).filter(key=key) if key else Generation.objects.none()
        if generation := earlier.first():
            return generation
        raise


def _regenerate(conversation: Conversation, message: Message, key: uuid.UUID | None) -> Generation:
    generation = message.generation
    if generation is not None and generation.is_live:
        return generation
    if message.content or message.reasoning:
        return _queue_answer(conversation, message.prompt, key)
    without_thinking = generation is not None and generation.without_thinking
    return _queue(conversation, message, key, without_thinking=without_thinking)


def _queue_answer(conversation: Conversation, prompt: Message, key: uuid.UUID | None, **fields: Any) -> Generation:
    answer = Message.objects.create(conversation=conversation, parent=prompt, role=Role.ASSISTANT)
    conversation.leaf = answer
    conversation.updated_at = timezone.now()
    conversation.save(update_fields=["leaf", "updated_at"])
    return _queue(conversation, answer, key, **fields)


def _queue(conversation: Conversation, answer: Message, key: uuid.UUID | None, **fields: Any) -> Generation:
    if conversation.is_archived:  # whoever goes on with it wants it in the list
        conversation.placement = Placement.LISTED
        conversation.save(update_fields=["placement"])
    generation = Generation.objects.create(
        message=answer, conversation=conversation, owner_id=conversation.owner_id, key=key, **fields
    )
    if sentence := limits.reached(conversation.owner_id):
        raise Refused(sentence)
    if settings.USER_DAILY_TOKENS:
        try:
            reserve_tokens(generation, estimate_prompt(generation))
        except TooFewTokens as error:
            raise DailyLimitReached(f"{error.sentence} {error.advice}") from error
    publish(Topic.GENERATION_QUEUED, generation.pk)
    publish(Topic.CONVERSATION_CHANGED, conversation.pk)
    publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)
    return generation


def _stop_for_another(generation: Generation) -> None:
    """Stop a generation that its owner replaces: the new one can have the tokens that it has reserved and not used."""
    stop(generation=generation)
    if settings.USER_DAILY_TOKENS:
        release_unused(generation)


def _reparent(conversation: Conversation, old: Message, new: Message) -> None:
    """Move the prompts below the answer `old` to the answer `new`, and their generations behind its own."""
    queued = list(Generation.objects.live_below(old).filter(status=Status.QUEUED).order_by("pk").select_for_update())
    old.children.update(parent=new)
    conversation.leaf_id = conversation.tree().newest_leaf(new.pk)
    conversation.save(update_fields=["leaf"])
    # A conversation's queue is ordered by primary key, so these rows are inserted again.
    for generation in queued:
        generation.delete()
        generation.save(force_insert=True)
        publish(Topic.GENERATION_QUEUED, generation.pk)
