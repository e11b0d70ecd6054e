"""From a conversation's history to the messages of a request."""

from collections.abc import Sequence
from dataclasses import dataclass

from conversations.models import Message, Role

# DeepSeek's documentation counts 0.3 tokens for an English character and 0.6 for a Chinese one, which UTF-8 holds in
# one byte and three: three bytes a token errs on the safe side for both.
BYTES_PER_TOKEN = 3
TOKENS_PER_MESSAGE = 8  # role and separators of a chat template
ANSWER_SHARE = 4  # one part in four of the context is left for thinking and answering


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages to send, and the first message of history they begin with if older turns were left out."""

    messages: list[dict[str, str]]
    begins_at: Message | None


def estimate_tokens(text: str) -> int:
    return len(text.encode()) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE


def build_prompt(history: Sequence[Message], *, system: str, context_tokens: int, output_tokens: int = 0) -> Prompt:
    """Return the request's messages: system instructions, then the newest whole turns that fit.

    `history` ends with the prompt to answer, or with the answer to go on with; this turn is sent in any case: only the
    endpoint knows for certain what is too long. What was only thought, or never answered, is not sent: reasoning never
    is, and two prompts in a row become one message, since many chat templates refuse two of a role.
    """
    room = context_tokens - min(output_tokens or context_tokens // ANSWER_SHARE, context_tokens // 2)
    room -= estimate_tokens(system) if system else 0
    newest, *older = reversed(_turns(history))
    kept = [newest]
    room -= _tokens(newest)
    for turn in older:
        room -= _tokens(turn)
        if room < 0:
            break
        kept.append(turn)
    first = kept[-1][0]
    messages = as_messages([message for turn in reversed(kept) for message in turn], system)
    return Prompt(messages, first if first != history[0] else None)


def as_messages(history: Sequence[Message], system: str) -> list[dict[str, str]]:
    """Return the request's messages for all of `history`, which begins with a question."""
    messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
    for message in (message for turn in _turns(history) for message in turn):
        if messages and messages[-1]["role"] == message.role:
            messages[-1]["content"] += "\n\n" + message.content
        else:
            messages.append({"role": str(message.role), "content": message.content})
    return messages


def _tokens(turn: Sequence[Message]) -> int:
    return sum(estimate_tokens(message.content) for message in turn)


def _turns(history: Sequence[Message]) -> list[list[Message]]:
    """Group messages into turns: a prompt and, where there is one, its answer."""
    turns: list[list[Message]] = []
    for message in history:
        if message.role == Role.USER:
            turns.append([message])
        elif message.content:
            turns[-1].append(message)
    return turns
