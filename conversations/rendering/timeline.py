"""The timeline of a thought, as SVG: a segment for each step, as wide as the time that it took.

The content security policy allows no inline styles, so widths are attributes. While the model thinks, widths show the
length of the text: that is known everywhere, also by a page that is loaded in the middle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from conversations.models import Message, Status
from conversations.rendering import outlines
from conversations.rendering.cues import StepKind
from conversations.rendering.outlines import OutlineStep, ThoughtOutline, merge
from conversations.rendering.steps import Step, StepSplitter
from conversations.templatetags.durations import duration

MAX_SEGMENTS: Final = 64  # more could hardly be hit, and would be a large part of the page
MAX_LIVE_SEGMENTS: Final = 32  # while the model thinks, all of them are sent whenever one is added
LEAST_SHARE: Final = 0.004  # of the width, so that a step of no second is visible
FIRST_SCALE: Final = 4_000  # characters that fit into a live timeline at first; twice as many whenever it is full


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a page shows of the steps of a thought besides their text."""

    svg: SafeString
    steps: int
    corrections: int
    label: str = ""  # of the open step, while the model thinks
    is_timed: bool = False  # widths are times


def step_id(message_id: int, number: int) -> str:
    """Return the id of a step, from 1."""
    return f"step-{message_id}-{number}"


def step_name(outline: ThoughtOutline, number: int) -> str:
    """Return the name of a step, from 1, for links to it."""
    step = outline.steps[number - 1]
    label = step.label or "no label"
    second = "" if step.second is None or not outline.is_timed else f", from {duration(round(step.second))}"
    return f"Step {number} of {len(outline.steps)}: {label}{f', {step.kind.value}' if step.kind else ''}{second}"


def finished(message_id: int, outline: ThoughtOutline, seconds: float | None, url: str) -> Timeline:
    """Return the timeline of a complete thought that took `seconds`, if that is known.

    Each segment is a link to its step on the page `url`. In long thoughts it stands for several steps, and leads to the
    first correction among them, or else to the first of them.
    """
    segments, marks, at = [], [], 0.0
    shares, is_timed = _shares(outline, seconds)
    size = math.ceil(len(outline.steps) / MAX_SEGMENTS)
    for first in range(0, len(outline.steps), size):
        steps, share = outline.steps[first : first + size], sum(shares[first : first + size])
        number = next((n for n, step in enumerate(steps, first + 1) if _is_correction(step)), first + 1)
        is_correction = _is_correction(outline.steps[number - 1])
        name = escape(step_name(outline, number))
        x, width = f"{at:.2f}%", f"{share * 100:.2f}%"
        if is_correction:
            marks.append(f'<svg x="{x}" class="mark-of-correction" aria-hidden="true"><path d="M0 0h9L4.5 5z"/></svg>')
        segments.append(
            f'<a href="{escape(url)}#{step_id(message_id, number)}"><title>{name}</title>'
            f'<rect class="hit" x="{x}" width="{width}" height="100%"/>'
            f'<rect class="segment{" correction" if is_correction else ""}" x="{x}" y="6" width="{width}"'
            ' height="7"/></a>'
        )
        at += share * 100
    inside = "".join([*segments, *marks])
    svg = f'<svg class="timeline" role="group" aria-label="Timeline of the thought">{inside}</svg>'
    return Timeline(mark_safe(svg), len(outline.steps), outline.corrections, is_timed=is_timed)  # noqa: S308  (escaped)


def of_message(message: Message, seconds: float | None) -> Timeline | None:
    """Return the timeline of a finished thought, with links to its owner's page; None without a stored outline."""
    outline = outlines.load(message) if message.reasoning_word_count else None
    return finished(message.pk, outline, seconds, f"{message.path}reasoning/") if outline else None


def of_splitter(splitter: StepSplitter, characters: int, status: str) -> Timeline | None:
    """Return the timeline of a live thought of so many characters, which `splitter` has read; None without any."""
    if not characters:
        return None
    if status == Status.THINKING:
        number, current = splitter.current
        return live(splitter.steps[:number], characters, current)
    return live(splitter.closed_steps(), characters, None)


def of_text(text: str, status: str) -> Timeline | None:
    """Return the timeline of a live thought; None without any text."""
    splitter = StepSplitter()
    splitter.feed(text)
    return of_splitter(splitter, len(text), status)


def live(steps: Sequence[Step], characters: int, open_step: Step | None) -> Timeline:
    """Return the timeline of a thought of so many characters that goes on, or has just ended if `open_step` is None."""
    shown = merge(steps, MAX_LIVE_SEGMENTS)
    scale = FIRST_SCALE
    while characters > scale:
        scale *= 2
    ends = [*(step.start for step in shown[1:]), open_step.start if open_step else characters]
    plain = corrected = ""
    for step, end in zip(shown, ends, strict=True) if shown else ():
        if _is_correction(step):
            corrected += _path(step.start / scale, end / scale)
        else:
            plain += _path(step.start / scale, end / scale)
    now = ""
    if open_step:
        at = min(open_step.start / scale, 0.98)
        now = _path(at, at + 0.02)
    paths = (("segment", plain), ("segment correction", corrected), ("segment open", now))
    svg = (
        '<svg class="timeline live" viewBox="0 0 1000 13" preserveAspectRatio="none" aria-hidden="true">'
        + "".join(f'<path class="{name}" d="{path}"/>' for name, path in paths if path)
        + "</svg>"
    )
    corrections = sum(_is_correction(step) for step in steps)
    label = open_step.label if open_step else ""
    return Timeline(mark_safe(svg), len(steps), corrections, label)  # noqa: S308  (numbers only)


def _is_correction(step: Step | OutlineStep) -> bool:
    return step.kind == StepKind.CORRECTION


def _path(start: float, end: float) -> str:
    """Return a line between two shares of the width. The style sheet makes it as high as a segment."""
    return f"M{round(1000 * start)} 9h{max(2, round(1000 * (end - start)) - 3)}"


def _shares(outline: ThoughtOutline, seconds: float | None) -> tuple[list[float], bool]:
    """Return the share of each step in the time of the thought, and True; without times in its text, and False."""
    times: list[float] = [step.second for step in outline.steps if step.second is not None]
    is_timed = bool(seconds) and len(times) == len(outline.steps)
    if not is_timed or not seconds:
        times, seconds = [step.start for step in outline.steps], outline.characters
    ends = [*times[1:], max(seconds, times[-1])]
    least = LEAST_SHARE * max(seconds, 1)
    weights = [max(end - start, least) for start, end in zip(times, ends, strict=True)]
    total = sum(weights)
    return [weight / total for weight in weights], is_timed
