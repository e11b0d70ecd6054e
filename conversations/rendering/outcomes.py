"""The words for what a generation does and how it ended, and what a person can do next."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from conversations.models import Generation, Message, Status
from conversations.models.words import count_words

THINKING, ANSWERING, GOING_ON = "Thinking", "Answering", "Going on"
CUT_SHORT = (Status.STOPPED, Status.LENGTH, Status.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Action:
    """A button under a message: a POST to `url`, or a link to it whose answer is put into the element `into`."""

    name: str
    label: str
    url: str
    into: str = ""


def doing(generation: Generation) -> str:
    """Return what a generation that was claimed is said to do until its first word comes."""
    if generation.goes_on:
        return GOING_ON
    return ANSWERING if generation.without_thinking else THINKING


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
                if message.thought_words
                else "Stopped."
            )
        case Status.LENGTH:
            if answered:
                return "The answer reached its length limit and ends here."
            return "The model ran out of room while thinking, before it could answer."
        case _:
            return generation.error


def said(status: str, doing: str, notice: str, answer: str = "") -> str:
    """Return the words by which a screen reader hears that a message has come to this status."""
    match status:
        case Status.THINKING:
            return doing
        case Status.ANSWERING:
            return ANSWERING
        case Status.COMPLETE if answer:
            words = count_words(answer)
            return f"Answer complete, {words:,} {'word' if words == 1 else 'words'}"
        case _:
            return notice


def tone(generation: Generation, message: Message) -> str:
    """Return '' for a good end, 'warn' for one cut short, 'bad' for one that failed."""
    if generation.status in (Status.FAILED, Status.FILTERED):
        return "bad"
    return "warn" if _is_cut_short(generation, message) else ""


def actions(generation: Generation, message: Message) -> list[Action]:
    """Return what can be done next, the likeliest first."""
    if generation.is_live:
        return live_actions(generation.pk, generation.status, doing(generation))
    retry = Action("retry", "Try again", reverse("retry", args=[message.pk]))
    edit = Action("edit", "Edit the question", reverse("edit", args=[message.parent_id]), f"edit-{message.parent_id}")
    if generation.status == Status.FILTERED:
        return [edit, retry]
    if message.content and generation.status in (*CUT_SHORT, Status.FAILED):
        return [Action("continue", "Continue", reverse("continue", args=[message.pk])), retry]
    if generation.status == Status.FAILED:
        return [retry, edit]
    if message.thought_words and not message.content:
        answer = Action("answer-now", "Answer without thinking", reverse("answer-now", args=[generation.pk]))
        # What came to its end while it thought will do so again.
        return [answer, retry] if generation.status in (Status.LENGTH, Status.COMPLETE) else [retry, answer]
    if tone(generation, message):
        return [retry]
    return [Action("regenerate", "Regenerate", reverse("regenerate", args=[message.pk]))]


def live_actions(generation_id: int, status: str, doing: str) -> list[Action]:
    """Return what can be done, beside stopping it, while a generation waits or runs."""
    if status == Status.QUEUED:
        return [Action("take-back", "Take back", reverse("take-back", args=[generation_id]))]
    if status == Status.THINKING and doing == THINKING:
        return [Action("answer-now", "Answer now", reverse("answer-now", args=[generation_id]))]
    return []


def figures(parts: Sequence[Generation]) -> str:
    """Return time to the first thought (or word) and tokens of all that made a message, as far as they are known."""
    if not parts or parts[-1].is_live:
        return ""
    said = []
    if begun := parts[0].started_at:
        for first, what in ((parts[0].first_thought_at, "first thought"), (parts[0].first_answer_at, "first word")):
            if first:
                said.append(f"{max(0.1, (first - begun).total_seconds()):.1f} s to {what}")
                break
    if any(part.answer_tokens is not None for part in parts):
        said.append(f"{sum((part.answer_tokens or 0) + (part.reasoning_tokens or 0) for part in parts):,} tokens")
    return " · ".join(said)


def _is_cut_short(generation: Generation, message: Message) -> bool:
    return generation.status in CUT_SHORT or (generation.status == Status.COMPLETE and not message.content)
