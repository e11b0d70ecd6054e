"""From a conversation's history to the messages of a request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from conversations.inference.files import Attached, joined, newest_images, tokens_of_files, with_files
from conversations.inference.registry import ANSWER_SHARE
from conversations.models import Attachment, Message, Role, StoredFile
from conversations.models.attachment import BYTES_PER_TOKEN

TOKENS_PER_MESSAGE = 8  # role and separators of a chat template
NO_FILES: Attached = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages to send, and about how many tokens they have.

    `context_start` is the first message of the history among them, if turns were left out. `system` is what is to be
    stored of the system message, if that contains instructions. `images` are the images in the messages, by what stands
    there for their URLs.
    """

    messages: list[dict[str, Any]]
    context_start: Message | None
    tokens: int
    system: str | list[str | int] = ""
    images: Mapping[str, StoredFile] = field(default_factory=dict)


class Size(NamedTuple):
    """How much of a prompt a message takes: the bytes of its content, and about how many tokens its files have."""

    role: str
    bytes: int
    tokens_of_files: int


def estimate_tokens(text: str) -> int:
    return tokens_of(len(text.encode()))


def tokens_of(number_of_bytes: int) -> int:
    """Return about how many tokens a message of this length has."""
    return number_of_bytes // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE


def prompt_room(context_tokens: int, output_tokens: int = 0) -> int:
    """Return how many tokens a prompt may have, besides reasoning and answer."""
    return context_tokens - min(output_tokens or context_tokens // ANSWER_SHARE, context_tokens // 2)


def build_prompt(
    history: Sequence[Message],
    *,
    system: str,
    context_tokens: int,
    output_tokens: int = 0,
    attached: Attached = NO_FILES,
    takes_images: bool = False,
) -> Prompt:
    """Return the request's messages: the system prompt, then as many of the newest whole turns as fit.

    `history` ends with the question to answer, or with the answer to continue. That turn is always sent: only the
    endpoint knows for certain what is too long. Reasoning is never sent, nor are answers without text. Questions in a
    row become one message, since many chat templates refuse two messages of one role. For the files, see `with_files`.
    """
    sizes = [Size(each.role, len(each.content.encode()), tokens_of_files(attached, each.pk)) for each in history]
    start, tokens = choose_start(sizes, system, prompt_room(context_tokens, output_tokens))
    images: dict[str, StoredFile] = {}

    def image_url(attachment: Attachment) -> str:
        images[attachment.pk.hex] = attachment.stored
        return attachment.pk.hex

    messages = to_messages(history[start:], system, attached, image_url if takes_images else None)
    return Prompt(messages, history[start] if start else None, tokens, images=images)


def choose_start(history: Sequence[Size], system: str, room: int) -> tuple[int, int]:
    """Return where in `history` what is sent begins, and about how many tokens it has, for `build_prompt`."""
    tokens = estimate_tokens(system) if system else 0
    start, turn = len(history), 0
    for at, message in reversed(list(enumerate(history))):
        if message.role == Role.USER or message.bytes:
            turn += tokens_of(message.bytes) + message.tokens_of_files
        if message.role == Role.USER:
            if start < len(history) and tokens + turn > room:
                break
            start, tokens, turn = at, tokens + turn, 0
    return start, tokens


def to_messages(
    history: Sequence[Message],
    system: str,
    attached: Attached = NO_FILES,
    image_url: Callable[[Attachment], str] | None = None,
) -> list[dict[str, Any]]:
    """Return the request's messages for all of `history`, which begins with a question."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    sent = newest_images(history, attached)
    for message in (message for turn in _turns(history) for message in turn):
        content = with_files(message, attached, image_url, sent) if attached else message.content
        if messages and messages[-1]["role"] == message.role:
            messages[-1]["content"] = joined(messages[-1]["content"], content)
        else:
            messages.append({"role": str(message.role), "content": content})
    return messages


def _turns(history: Sequence[Message]) -> list[list[Message]]:
    """Group messages into turns: a question and, where there is one, its answer."""
    turns: list[list[Message]] = []
    for message in history:
        if message.role == Role.USER:
            turns.append([message])
        elif message.content:
            turns[-1].append(message)
    return turns
