"""The words for how a generation ended, and what a person can do next."""

from dataclasses import dataclass

from django.urls import reverse

from conversations.models import Generation, Message, Status


@dataclass(frozen=True, slots=True)
class Action:
    """A button under a message: a POST to `url`."""

    name: str
    label: str
    url: str


def notice(generation: Generation, message: Message) -> str:
    """Return the sentence under a message that did not simply complete; '' if it did."""
    answered = bool(message.content)
    match generation.status:
        case Status.COMPLETE:
            return "" if answered else "The model finished thinking without giving an answer."
        case Status.STOPPED:
            return (
                "Stopped while answering."
                if answered
                else "Stopped while thinking."
                if message.reasoning
                else "Stopped."
            )
        case Status.LENGTH:
            if answered:
                return "The answer reached its length limit and ends here."
            return "The model ran out of room while thinking, before it could answer."
        case _:
            return generation.error


def tone(generation: Generation, message: Message) -> str:
    """Return '' for a good end, 'warn' for one cut short, 'bad' for one that failed."""
    if generation.status in (Status.FAILED, Status.FILTERED):
        return "bad"
    cut_short = generation.status in (Status.STOPPED, Status.LENGTH, Status.INTERRUPTED)
    return "warn" if cut_short or (generation.status == Status.COMPLETE and not message.content) else ""


def actions(generation: Generation, message: Message) -> list[Action]:
    if generation.is_live:
        return []
    name, label = ("retry", "Try again") if tone(generation, message) else ("regenerate", "Regenerate")
    return [Action(name, label, reverse(name, args=[message.pk]))]


def figures(generation: Generation) -> str:
    """Return time to the first thought (or word) and tokens, as far as they are known."""
    parts = []
    if generation.started_at:
        for first, what in (
            (generation.first_thought_at, "first thought"),
            (generation.first_answer_at, "first word"),
        ):
            if first:
                seconds = max(0.1, (first - generation.started_at).total_seconds())
                parts.append(f"{seconds:.1f} s to {what}")
                break
    if generation.answer_tokens is not None:
        parts.append(f"{generation.answer_tokens + (generation.reasoning_tokens or 0):,} tokens")
    return " · ".join(parts) if not generation.is_live else ""
