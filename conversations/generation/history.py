"""Read what a generation sends to the endpoint."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from conversations.generation.commit import Claim
from conversations.inference.instructions import stored_system, system_pieces, system_text
from conversations.inference.prompt import Prompt, build_prompt
from conversations.inference.registry import Model
from conversations.models import Conversation, Generation, Instructions, Message
from conversations.models.prepared import prepared


def read_prompt(claimed: Claim, model: Model) -> tuple[Generation, Prompt, Message]:
    """Return the generation, its prompt for `model`, and the last message of that.

    That is a question, or the answer to continue. Raises `Generation.DoesNotExist` if it was deleted after the claim.
    """
    found = _generation(claimed.generation_id)
    if not found:
        raise Generation.DoesNotExist
    [generation] = found
    conversation = Conversation(claimed.conversation_id)
    tree = conversation.tree()
    path = tree.path_to(generation.message_id)[: None if generation.is_continuation else -1]
    by_id = {message.pk: message for message in _without_reasoning(path)}
    history = [by_id[pk] for pk in path if pk in by_id]  # without messages that were deleted meanwhile
    if not history:
        raise Generation.DoesNotExist
    if generation.is_continuation:
        history[-1:] = conversation.read(tree, path[-1:])
    ids = [pk for pk in generation.instructions.values() if pk]
    system = system_pieces(settings.SYSTEM_PROMPT, _instructions(ids) if ids else ())
    prompt = build_prompt(
        history,
        system=system_text(system),
        context_tokens=model.context_tokens,
        output_tokens=model.profile.max_output_tokens,
    )
    return generation, replace(prompt, system=stored_system(system)) if ids else prompt, history[-1]


@prepared
def _generation(pk: Any) -> QuerySet[Any]:
    return Generation.objects.filter(pk=pk)


@prepared
def _instructions(ids: Any) -> QuerySet[Any]:
    return Instructions.objects.filter(pk__in=ids)


@prepared
def _without_reasoning(messages: Any) -> QuerySet[Any]:
    return Message.objects.filter(pk__in=messages).defer("reasoning", "outline")
