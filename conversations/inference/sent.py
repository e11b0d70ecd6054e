"""A generation's request exactly as it was sent: what is kept of it, and how it is put together again.

The conversation is kept already, so with the generation goes all else: the parameters, the system prompt, what was
added in order to go on with an answer. What came before a generation in its conversation never changes but in one way:
an answer that was cut may be gone on with later, and then its generations tell how far it had come.
"""

from typing import Any

from conversations.inference.prompt import Prompt, as_messages
from conversations.models import Generation, Message


def to_keep(request: dict[str, Any], prompt: Prompt) -> dict[str, Any]:
    """Return what is kept of a request: its `body`, and around the conversation's messages what is not of it."""
    body = {name: value for name, value in request.items() if name not in ("messages", "extra_body")}
    messages, number = request["messages"], len(prompt.messages)
    marks = {name: value for name, value in messages[number - 1].items() if name not in ("role", "content")}
    return {
        "body": body | request.get("extra_body", {}),
        "system": next((message["content"] for message in messages if message["role"] == "system"), ""),
        "marks": marks,  # on the last of them
        "after": messages[number:],
    }


def as_sent(generation: Generation) -> tuple[dict[str, Any], int] | None:
    """Return the request's body, and how many words of reasoning there are to the answers in it.

    None if it was not sent, or by a version of the site that did not keep it. Three queries.
    """
    kept = generation.request
    if not kept:
        return None
    history = _history(generation)
    messages: list[dict[str, Any]] = as_messages(history, kept["system"])
    messages[-1] = messages[-1] | kept["marks"]
    thought = sum(message.thought_words for message in history if message.attempts)
    return kept["body"] | {"messages": messages + kept["after"]}, thought


def _history(generation: Generation) -> list[Message]:
    """Return the messages that were sent, as they were then."""
    conversation, tree = generation.conversation, generation.conversation.tree()
    path = tree.path_to(generation.message_id if generation.goes_on else generation.message.parent_id)
    start = path.index(generation.context_start_id) if generation.context_start_id in path else 0
    history = conversation.read(tree, path[start:])
    for message in history:
        # One answer runs at a time in a conversation, in the order of their ids.
        later = [attempt.joined_at or 0 for attempt in message.attempts if attempt.pk >= generation.pk]
        message.content = message.content[: min(later, default=None)]
    return history
