"""The text that says what a generation does and how it ended, and the actions that are offered next."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from conversations.models import Depth, Generation, Message, Status
from conversations.models.access import allowed_models
from conversations.models.generation import UNKNOWN_MODEL_MINUTES

THINKING, ANSWERING, CONTINUING = "Thinking", "Answering", "Continuing"
REPEATING = "The model is repeating itself. You can stop it and get an answer now."
CUT_SHORT = (Status.STOPPED, Status.LENGTH, Status.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Action:
    """A button under a message that posts to `url`; with `target`, a link whose response goes into that element."""

    name: str
    label: str
    url: str
    target: str = ""
    alternatives: Sequence["Alternative"] = ()


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another depth or model to ask again with: the name and the value of the field to post, and what it is called."""

    name: str
    value: str
    label: str


def activity(generation: Generation) -> str:
    """Return what a claimed generation is doing until its first word arrives."""
    if generation.is_continuation:
        return CONTINUING
    return ANSWERING if generation.without_thinking else THINKING


def notice(generation: Generation, message: Message) -> str:
    """Return the sentence under a message that says how it ended or why it waits, or "" if there is nothing to say."""
    if is_from_elsewhere(generation, message):
        return "" if message.content.strip() else "What was imported has no answer here."
    if generation.is_live:
        repeats = generation.repetition_at is not None
        return waiting_notice(generation) or live_notice(generation.status, repeats=repeats)
    match generation.status:
        case Status.COMPLETE if message.content.strip():
            return generation.error  # if the endpoint left open whether it is complete
        case Status.COMPLETE if message.reasoning_word_count:
            return "The model finished thinking without giving an answer."
        case Status.COMPLETE:
            return "The model finished without giving an answer."
        case Status.STOPPED if generation.error:
            return generation.error
        case Status.STOPPED if message.content:
            return "Stopped while answering."
        case Status.STOPPED:
            return "Stopped while thinking." if message.reasoning_word_count else "Stopped."
        case Status.LENGTH if generation.error:  # of this site
            return generation.error
        case Status.LENGTH if message.content:
            return "The answer reached its length limit."
        case Status.LENGTH if message.reasoning_word_count:
            return "The model reached its length limit while thinking, before it could answer."
        case Status.LENGTH:
            return "The model reached its length limit before it could answer."
        case _:
            return generation.error


def is_from_elsewhere(generation: Generation, message: Message) -> bool:
    """Return whether an answer was imported, so that `generation` only stands for one."""
    return message.is_imported and generation.pk is None


def waiting_notice(generation: Generation) -> str:
    """Return the sentence under a question that waits for a model that this site does not seem to have."""
    if not generation.waits_for_model:
        return ""
    return (
        f"The model {generation.model} is not available at the moment, so this question waits."
        f" After about {UNKNOWN_MODEL_MINUTES} minutes it ends without an answer. Cancel it to ask another model."
    )


def live_notice(status: str, *, repeats: bool) -> str:
    """Return the sentence under a message that is being generated, or "" if there is nothing to say."""
    return REPEATING if repeats and status == Status.THINKING else ""


def announcement(status: str, activity: str, notice: str, answer: str = "") -> str:
    """Return what a screen reader announces when a message reaches this status."""
    match status:
        case Status.THINKING:
            return activity
        case Status.ANSWERING:
            return ANSWERING
        case Status.COMPLETE if answer and not notice:
            return "Answer complete"
        case _:
            return notice


def tone(generation: Generation, message: Message) -> str:
    """Return "bad" for a failure, "warn" for an answer that was cut short, else ""."""
    if generation.status in (Status.FAILED, Status.FILTERED):
        return "bad"
    return "warn" if generation.status in CUT_SHORT or notice(generation, message) else ""


def actions(generation: Generation, message: Message) -> list[Action]:
    """Return the available actions, the most likely one first."""
    if generation.is_live:
        return live_actions(generation.pk, generation.status, activity(generation))
    others = alternatives(generation, message)
    if not tone(generation, message):
        return [Action("regenerate", "Regenerate", f"{message.path}regenerate/", alternatives=others)]
    retry = Action("retry", "Try again", f"{message.path}retry/", alternatives=others)
    if is_from_elsewhere(generation, message):
        return [retry]
    edit = Action("edit", "Edit the question", reverse("edit", args=[message.parent_id]), f"edit-{message.parent_id}")
    if generation.status == Status.FILTERED:
        return [edit, retry]
    if message.content and (generation.status in (*CUT_SHORT, Status.FAILED) or generation.error):
        return [Action("continue", "Continue", f"{message.path}continue/"), retry]
    if generation.status == Status.FAILED:
        return [retry, edit]
    if message.reasoning_word_count and not message.content:
        answer = Action("answer-now", "Answer without thinking", reverse("answer-now", args=[generation.pk]))
        # A model that used up its tokens while thinking is likely to do so again.
        return [answer, retry] if generation.status in (Status.LENGTH, Status.COMPLETE) else [retry, answer]
    return [retry]


def alternatives(generation: Generation, message: Message) -> list[Alternative]:
    """Return the depths and models that differ from those of a message's generation, deeper ones first."""
    known = settings.MODELS.get(generation.model)
    depths = list(known.depths) if known else []
    depth = generation.depth or Depth.NORMAL
    at = depths.index(depth) if depth in depths else len(depths)
    found = []
    for others, label in ((depths[at + 1 :], "Think deeper"), (depths[:at][::-1], "Answer quicker")):
        for other in others:
            name = f"{label} ({Depth(other).label})" if len(others) > 1 else label
            found.append(Alternative("depth", other, name))
    models = (model for model in allowed_models(message.conversation).values() if model.id != generation.model)
    return found + [Alternative("model", model.id, f"Use {model.label}") for model in models]


def imported_by(message: Message) -> str:
    """Return what is said of an imported answer instead of how it was made here."""
    return " · ".join(filter(None, ("Imported", message.imported_model)))


def made_by(generation: Generation, *, has_versions: bool) -> str:
    """Return by which model and at which depth an answer was made, as far as that distinguishes it."""
    model = generation.model_label if len(settings.MODELS) > 1 else ""
    depth = generation.get_depth_display() if has_versions or generation.depth != Depth.NORMAL else ""
    return " · ".join(filter(None, (model, depth)))


def live_actions(generation_id: int, status: str, activity: str) -> list[Action]:
    """Return the actions, besides Stop, for a generation that is queued or running."""
    if status == Status.QUEUED:
        return [Action("cancel", "Cancel", reverse("cancel", args=[generation_id]))]
    if status == Status.THINKING and activity == THINKING:
        return [Action("answer-now", "Answer now", reverse("answer-now", args=[generation_id]))]
    return []


def statistics(parts: Sequence[Generation]) -> str:
    """Return the time to the first thought (or word) and the tokens of a message's generations, as far as known."""
    if not parts or parts[-1].is_live:
        return ""
    first, found = parts[0], []
    for moment, label in ((first.first_thought_at, "first thought"), (first.first_answer_at, "first word")):
        if first.started_at and moment:
            found.append(f"{max(0.1, (moment - first.started_at).total_seconds()):.1f} s to {label}")
            break
    if any(part.answer_tokens is not None for part in parts):
        number = sum((part.answer_tokens or 0) + (part.reasoning_tokens or 0) for part in parts)
        found.append(f"{'about ' if any(part.tokens_estimated for part in parts) else ''}{number:,} tokens")
    return " · ".join(found)
