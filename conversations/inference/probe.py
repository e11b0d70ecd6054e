"""Find out by a few short questions how a model can be asked to think, and which profile describes it."""

import json
import time
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from conversations.inference import errors
from conversations.inference.chunks import Usage
from conversations.inference.deltas import Delta, DeltaTotals
from conversations.inference.endpoint import OpenModel
from conversations.inference.registry import ENDPOINTS_DEFAULT, Reasoning
from conversations.inference.stream import stream
from conversations.models import Kind

QUESTION = "Which is greater, 9.11 or 9.8? Answer in one sentence."
EFFORTS = ("low", "high")  # tried where the profile names none


@dataclass(slots=True)
class Attempt:
    """What came of one question: `refused` are the fields that the endpoint refuses, `error` is why it failed."""

    asked: Reasoning
    reasoning_characters: int = 0
    seconds: float | None = None  # to the first text
    refused: tuple[str, ...] = ()
    error: errors.InferenceError | None = None
    usage: Usage = Usage()  # noqa: RUF009  (it cannot change)

    @property
    def thinks(self) -> bool:
        return bool(self.reasoning_characters or self.usage.reasoning_tokens)

    @property
    def works(self) -> bool:
        """Whether the endpoint took the request as it was."""
        return self.error is None and not self.refused

    @property
    def name(self) -> str:
        if self.asked == ENDPOINTS_DEFAULT:
            return "Normal"
        return f"Effort {self.asked.effort}" if self.asked.effort else "Thinking off"

    def __str__(self) -> str:
        if self.error:
            return f"{type(self.error).__name__}: {self.error.report}"
        thought = "no reasoning"
        if self.reasoning_characters:
            thought = f"{self.reasoning_characters:,} characters of reasoning"
        elif self.usage.reasoning_tokens:
            thought = f"{self.usage.reasoning_tokens:,} tokens of reasoning that is not shown"
        start = "" if self.seconds is None else f", first text after {self.seconds:.2f} s"
        refused = f", without {', '.join(self.refused)}, which the endpoint refuses" if self.refused else ""
        return f"{thought}{start}{refused}"


async def attempts(opened: OpenModel) -> list[Attempt]:
    """Ask a model with thinking off, at the endpoint's default and with each effort; stop if the default fails."""
    normal = await _attempt(opened, ENDPOINTS_DEFAULT)
    if normal.error:
        return [normal]
    efforts = opened.model.profile.efforts or EFFORTS
    ways = (Reasoning(thinking=False), *(Reasoning(effort=effort) for effort in efforts))
    return [normal, *[await _attempt(opened, way) for way in ways]]


def profile_lines(found: list[Attempt], completes_prefixes: bool) -> list[str]:
    """Return the lines of TOML that describe a model of which all these attempts were made."""
    normal, off, *efforts = found
    accepted = [each.asked.effort for each in efforts if each.works]
    if normal.thinks:
        thinking = "switchable" if off.works and not off.thinks else "always"
    else:
        thinking = "requested" if any(each.thinks for each in efforts) else "never"
    lines = [f'thinking = "{thinking}"']
    if accepted and thinking != "never":
        lines.append(f"efforts = {json.dumps(accepted)}")
    return [*lines, f"prefix_completion = {str(completes_prefixes).lower()}"]


async def _attempt(opened: OpenModel, asked: Reasoning) -> Attempt:
    # As if its thinking were not known, so that exactly this is asked for.
    profile = replace(opened.model.profile, thinking="")
    plain = OpenModel(replace(opened.model, profile=profile, pinned=asked), opened.endpoint)
    attempt, started, totals = Attempt(asked), time.monotonic(), DeltaTotals[float]()

    def amend(request: dict[str, Any], error: errors.InferenceError) -> dict[str, Any] | None:
        if not (found := plain.without_refused(request, error, may_think=True)):
            return None
        attempt.refused += (found[0],)
        return found[1]

    def sink(deltas: list[Delta]) -> None:
        totals.add(deltas, time.monotonic() - started)

    request = plain.request([{"role": "user", "content": QUESTION}])
    try:
        outcome = await stream(plain.endpoint.create, request, sink, stall_seconds=settings.STALL_SECONDS, amend=amend)
        attempt.usage, attempt.error = outcome.usage, outcome.failure
    except errors.InferenceError as error:
        attempt.error = error
    attempt.reasoning_characters = totals.characters[Kind.REASONING]
    attempt.seconds = min(totals.first_at.values(), default=None)
    return attempt
