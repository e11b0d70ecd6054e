"""How much of the model's context a conversation uses, and whether older messages will be left out soon."""

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from conversations.inference.prompt import estimate_tokens, prompt_room
from conversations.inference.registry import default_model, find
from conversations.models.generation import Counts

WARN_AT = 0.8
SOON = "Older messages will soon no longer be sent to the model."
LEFT_OUT = "Older messages are no longer sent to the model."


class ContextUse(NamedTuple):
    """What the meter shows: `about` if the endpoint reported no numbers, `notice` if messages are left out or soon."""

    percent: int
    about: bool
    notice: str


def context_use(model_id: str | None, counts: Iterable[Counts], texts: Iterable[str] = ()) -> ContextUse | None:
    """Return how much prompt and answer of the newest answer use of the context; None if that is not known.

    `counts` are those of a thread's answers, newest first. If none of them has ended, the estimate of what was sent
    counts or, before that, of `texts`. Reasoning is not sent again, so it does not count.

    What is left out is decided by an estimate, which is higher than the endpoint's count for most texts. The warning
    comes by whichever of the two is nearer to its limit.
    """
    model = find(model_id or "") or default_model()
    if model is None:
        return None
    known = list(counts)
    ended = next((each for each in known if each.prompt_tokens), None)
    sent = next((each for each in known if each.prompt_estimate), None)
    scale, about = 1.0, True
    if ended:
        used, about = (ended.prompt_tokens or 0) + (ended.answer_tokens or 0), bool(ended.tokens_estimated)
        scale = (ended.prompt_estimate or 0) / (ended.prompt_tokens or 1)
    else:
        used = sent.prompt_estimate or 0 if sent else sum(estimate_tokens(text) for text in texts if text)
    if not used:
        return None
    context, room = model.context_tokens, prompt_room(model.context_tokens, model.profile.max_output_tokens)
    notice = SOON if used >= WARN_AT * context or used * scale >= WARN_AT * room else ""
    if ended and ended.context_start_id:
        notice = LEFT_OUT
    return ContextUse(min(100, ceil(100 * used / context)), about, notice)
