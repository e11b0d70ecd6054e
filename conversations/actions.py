"""The writes of owners that have side effects: one short transaction each, and events about what changed."""

import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.utils import timezone

from conversations import limits
from conversations.events import Topic, publish
from conversations.inference.allowance import add_usage_so_far, estimate_prompt, release_unused, reserve_tokens
from conversations.inference.errors import TooFewTokens
from conversations.models import Conversation, Feedback, Generation, LegalHold, Message, Rating, Role, Status, User
from conversations.models.conversation import TITLE_CHARACTERS, title_from
from conversations.models.prepared import prepared


class Refused(Exception):
    """The action is not allowed now. The message is for the user; `conversation` is the one concerned, if there is one.

    Refused
    ├── DailyLimitReached    the prompt needs more than is left of the user's `USER_DAILY_TOKENS`
    └── Held                 it would delete or overwrite what a legal hold protects
    """

    def __init__(self, sentence: str, conversation: Conversation | None = None) -> None:
        super().__init__(sentence)
        self.conversation = conversation


class DailyLimitReached(Refused):
    pass


class Held(Refused):
    pass


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
        conversation = _lock(conversation)
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
        conversation = _lock(prompt.conversation)
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
        conversation = _lock(message.conversation)
        # Read after locking, so that of a double click the second sees the first.
        return _regenerate(conversation, Message.objects.get(pk=message.pk), key)

    return _once(user, key, write)


def continue_answer(*, user: User, message: Message, key: uuid.UUID | None = None) -> Generation:
    """Queue the continuation of an answer and return it; if the answer is live, return its generation.

    An answer without content is regenerated.
    """

    def write() -> Generation:
        conversation = _lock(message.conversation)
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
        conversation = _lock(generation.conversation)
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
        conversation = _lock_unless_held(generation.conversation, "You cannot remove this question, only stop it")
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
            _delete(conversation)
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


def rename(*, conversation: Conversation, title: str) -> None:
    """Change the title. Raises `Held`."""
    with transaction.atomic():
        _lock_unless_held(conversation, "You cannot rename this conversation yet")
        Conversation.objects.filter(pk=conversation.pk).update(title=title[:TITLE_CHARACTERS])
        publish(Topic.CONVERSATION_CHANGED, conversation.pk)
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)


def delete(*, conversation: Conversation) -> None:
    """Stop a conversation's live generations and delete it. Raises `Held`."""
    with transaction.atomic():
        _lock_unless_held(conversation, "You cannot delete this conversation yet")
        for generation in conversation.generations.live():
            stop(generation=generation)
        # What `stop` has not ended is locked by it, so their workers cannot end them before they are deleted.
        for generation in conversation.generations.running():
            add_usage_so_far(generation)
        _delete(conversation)
        publish(Topic.CONVERSATION_CHANGED, conversation.pk)
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)


def give_feedback(*, message: Message, rating: str, comment: str, shared: bool) -> Feedback:
    """Save the owner's feedback on an answer, replacing earlier feedback. Reports are always shared with reviewers.

    `review.queue.fill` adds shared feedback to the review queue. Raises `Held` if there is earlier feedback.
    """
    with transaction.atomic():
        given = _lock_feedback(message) or Feedback(message=message, conversation=message.conversation)
        given.rating, given.comment, given.shared = rating, comment, shared or rating == Rating.REPORT
        given.created_at = timezone.now()
        given.save()
    return given


def rate(*, message: Message, rating: str) -> Feedback | None:
    """Save a rating, keeping the rest of the feedback; delete the feedback if it already has this rating.

    Raises `Held` if there is earlier feedback.
    """
    with transaction.atomic():
        given = _lock_feedback(message)
        if given is None:
            return give_feedback(message=message, rating=rating, comment="", shared=False)
        if given.rating != rating:
            return give_feedback(message=message, rating=rating, comment=given.comment, shared=given.shared)
        given.delete()
        return None


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


def _lock(conversation: Conversation) -> Conversation:
    """Lock the row and read it again, so that of two concurrent prompts the second follows the first in the tree."""
    if not (found := _locked(conversation.pk)):
        raise Conversation.DoesNotExist
    return found[0]


def _lock_unless_held(conversation: Conversation, refusal: str) -> Conversation:
    """Lock the row for a change that deletes or overwrites; raise `Held` if a legal hold covers the conversation.

    `refusal` is the first sentence for the user, who learns no more of the hold than that there is a legal reason.
    """
    conversation = _lock(conversation)
    if LegalHold.objects.covering(conversation.pk, conversation.owner_id).exists():
        raise Held(f"{refusal}: this conversation must be kept for legal reasons.", conversation)
    return conversation


def _lock_feedback(message: Message) -> Feedback | None:
    """Lock the conversation, and return the feedback on `message`, if any. Raises `Held` if there is any."""
    conversation = _lock(message.conversation)
    if given := Feedback.objects.filter(message=message).first():
        _lock_unless_held(conversation, "You cannot change your feedback yet")
    return given


def _delete(conversation: Conversation) -> None:
    LegalHold.objects.filter(conversation=conversation).delete()  # lifted holds reference the row too
    Conversation.objects.filter(pk=conversation.pk).delete()


@prepared
def _locked(pk: Any) -> QuerySet[Any]:
    return Conversation.objects.select_for_update().filter(pk=pk)


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
