"""Queue generations: with a model and a depth, within the limits of their owner."""

import uuid
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from chatsite import tracing
from conversations import limits
from conversations.actions.refusals import DailyLimitReached, Refused, by_limit
from conversations.events import Topic, publish
from conversations.inference.allowance import reserve_tokens
from conversations.inference.choice import Choice, NotOffered, choose
from conversations.inference.errors import TooFewTokens
from conversations.models import Conversation, Generation, Message, Role, User
from conversations.models.access import allowed_models
from conversations.models.conversation import Placement
from conversations.models.prepared import prepared


def choose_for(user: User, asked: Choice, *before: Generation | Conversation) -> Choice:
    """Return `asked`, completed by what was chosen `before`, the latest first, or by `user`. Raises `Refused`."""
    models = allowed_models(user)
    if settings.MODELS and not models:
        raise Refused("No model is available to you. Ask the people who run this site for access to one.")
    try:
        return choose(asked, *map(Choice.of, (*before, user)), models=models)
    except NotOffered as error:
        raise Refused(str(error)) from error


def queue_answer(
    conversation: Conversation, prompt: Message, key: uuid.UUID | None, choice: Choice, **fields: Any
) -> Generation:
    """Create an answer to `prompt`, show it, and queue its generation; return that. The conversation is locked."""
    answer = Message.objects.create(conversation=conversation, parent=prompt, role=Role.ASSISTANT)
    conversation.leaf = answer
    conversation.updated_at = timezone.now()
    conversation.model, conversation.depth = choice
    conversation.save(update_fields=["leaf", "updated_at", "model", "depth"])
    return queue(conversation, answer, key, choice, **fields)


def queue(
    conversation: Conversation, answer: Message, key: uuid.UUID | None, choice: Choice, **fields: Any
) -> Generation:
    """Queue a generation for `answer`, and remember its choice; return it. Raises `Refused`, by a limit.

    The instructions that apply now are sent with it, unless `fields` names others.
    """
    if conversation.is_archived:  # whoever goes on with it wants it in the list
        conversation.placement = Placement.LISTED
        conversation.save(update_fields=["placement"])
    if Choice.of(conversation) != choice:
        Conversation.objects.filter(pk=conversation.pk).update(**choice._asdict())
    # Instructions that are changed while the question waits apply to the next one.
    [(user_instructions,)] = _user_instructions(conversation.owner_id)
    instructions = {
        "user_instructions_id": user_instructions,
        "conversation_instructions_id": conversation.instructions_id,
    }
    generation = Generation.objects.create(
        message=answer,
        conversation=conversation,
        owner_id=conversation.owner_id,
        key=key,
        model=choice.model,
        depth=choice.depth,
        **(instructions | fields),
    )
    if sentence := limits.reached(conversation.owner_id):
        raise by_limit(sentence)
    try:
        reserve_tokens(generation)
    except TooFewTokens as error:
        raise DailyLimitReached(f"{error.sentence} {error.advice}") from error
    tracing.note_queued(generation.pk)
    publish(Topic.GENERATION_QUEUED, generation.pk)
    publish(Topic.CONVERSATION_CHANGED, conversation.pk)
    publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)
    return generation


@prepared
def _user_instructions(user: Any) -> QuerySet[Any, Any]:
    return User.objects.filter(pk=user).values_list("instructions")
