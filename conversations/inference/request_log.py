"""What is stored of a generation's request, and how the request as it was sent is rebuilt from it.

Messages and instructions are stored anyway, so a generation stores everything else: the parameters, the system message
without instructions, and what was added to continue an answer. Instructions do not change. Messages before a generation
change in one way only: an answer that was cut may be continued later. The generations of that answer tell how long it
was at the time.
"""

from typing import Any

from conversations.inference.instructions import restore_system
from conversations.inference.prompt import Prompt, to_messages
from conversations.models import Attachment, Generation, Message


def stored_request(request: dict[str, Any], prompt: Prompt, refused: str = "") -> dict[str, Any]:
    """Return what to store of `request`: its `body` without messages, and what it adds to those of the conversation.

    `system` is the system message, see `instructions.stored_system`; `marks` are further fields of the conversation's
    last message, `after` are the messages after it; `refused` is the field that the endpoint refused before, if any;
    `images` says that the model got images.
    """
    body = {name: value for name, value in request.items() if name not in ("messages", "extra_body")}
    messages, number = request["messages"], len(prompt.messages)
    marks = {name: value for name, value in messages[number - 1].items() if name not in ("role", "content")}
    return {
        "body": body | request.get("extra_body", {}),
        "system": prompt.system
        or next((message["content"] for message in messages if message["role"] == "system"), ""),
        "marks": marks,
        "after": messages[number:],
        **({"refused": refused} if refused else {}),
        **({"images": True} if prompt.images else {}),
    }


def rebuild_request(generation: Generation) -> tuple[dict[str, Any], int] | None:
    """Return the request's body, and the number of words of reasoning behind the answers in it, which are not sent.

    None if the request was never sent, or by a version of the site that did not store it. Makes three queries, and
    others for instructions and for files.
    """
    stored = generation.request
    if not stored:
        return None
    history = _history(generation)
    attached = Attachment.objects.of_messages([message.pk for message in history if message.has_files])
    image_url = _image_in_words if stored.get("images") else None
    messages = to_messages(history, restore_system(stored["system"]), attached, image_url)
    messages[-1] |= stored["marks"]
    reasoning_words = sum(message.reasoning_word_count for message in history if message.generation_list)
    return stored["body"] | {"messages": messages + stored["after"]}, reasoning_words


def _image_in_words(attachment: Attachment) -> str:
    """Return the beginning of an image's URL, and what it is: all of it would fill the page."""
    return f"data:{attachment.stored.picture_type};base64,… ({attachment.name})"


def _history(generation: Generation) -> list[Message]:
    """Return the messages that were sent, as they were then."""
    conversation, tree = generation.conversation, generation.conversation.tree()
    path = tree.path_to(generation.message_id if generation.is_continuation else generation.message.parent_id)
    start = path.index(generation.context_start_id) if generation.context_start_id in path else 0
    history = conversation.read(tree, path[start:])
    for message in history:
        # A conversation runs one answer at a time, in the order of their ids.
        later = [attempt.joined_at or 0 for attempt in message.generation_list if attempt.pk >= generation.pk]
        message.content = message.content[: min(later, default=None)]
    return history
