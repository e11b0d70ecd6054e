"""The outline of a thought: its steps as they are stored with the message, so that pages need not load the reasoning.

An outline is reasoning: whoever may not read the reasoning must not see it, and it is deleted with the reasoning.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from conversations.models import Message
from conversations.models.words import count_words
from conversations.rendering.cues import StepKind
from conversations.rendering.steps import VERSION, Step, split

MAX_STEPS: Final = 200  # in an outline; of more, neighbours are merged

# When a thought had reached which length: pairs of characters and seconds since thinking started, in order.
Times = Sequence[tuple[int, float]]


class OutlineStep(NamedTuple):
    """A step, and the second of thinking in which it started, if that is known."""

    start: int
    label: str
    kind: StepKind
    second: float | None = None


class ThoughtOutline(NamedTuple):
    """The steps of a thought of so many characters and words."""

    steps: list[OutlineStep]
    characters: int
    words: int

    @property
    def corrections(self) -> int:
        return sum(step.kind == StepKind.CORRECTION for step in self.steps)

    @property
    def times(self) -> Times:
        """Return when steps started; nothing unless that is known of all."""
        return [(step.start, step.second) for step in self.steps if step.second is not None] if self.is_timed else []

    @property
    def is_timed(self) -> bool:
        return all(step.second is not None for step in self.steps)

    def number_at(self, offset: int) -> int:
        """Return the number, from 1, of the step that contains the character at `offset`."""
        return max(1, bisect_right(self.steps, offset, key=lambda step: step.start))

    def parts(self, reasoning: str) -> list[str]:
        """Return the text of each step."""
        starts = [step.start for step in self.steps]
        ends = [*starts[1:], len(reasoning)]
        return [reasoning[start:end] for start, end in zip(starts, ends, strict=True)]


def merge(steps: Sequence[Step], limit: int) -> list[Step]:
    """Return at most `limit` steps: groups of so many neighbours as it takes, a power of two.

    A group has the first label in it, and a kind that it contains, a correction above all.
    """
    number = 1
    while len(steps) > limit * number:
        number *= 2
    groups = [steps[at : at + number] for at in range(0, len(steps), number)]
    return [
        Step(
            group[0].start,
            next((step.label for step in group if step.label), ""),
            next((kind for kind in StepKind if kind and any(step.kind == kind for step in group)), StepKind.PLAIN),
        )
        for group in groups
    ]


def build(reasoning: str, times: Times = (), known: Sequence[Step] = ()) -> ThoughtOutline | None:
    """Return the outline of a complete thought, of which the steps may be known; None if there is none."""
    if not reasoning:
        return None
    found = merge(known or split(reasoning), MAX_STEPS)
    steps = [OutlineStep(*step, _second(times, step.start) if times else None) for step in found]
    return ThoughtOutline(steps, len(reasoning), count_words(reasoning))


def stored(outline: ThoughtOutline | None) -> dict[str, Any] | None:
    """Return an outline as JSON, for `Message.outline`."""
    if outline is None:
        return None
    steps = [[step.start, step.label, step.kind.value, step.second] for step in outline.steps]
    return {"version": VERSION, "characters": outline.characters, "words": outline.words, "steps": steps}


def load(message: Message) -> ThoughtOutline | None:
    """Return the stored outline of a message; None without one, or if it is not of its reasoning.

    A replica of an earlier version may have changed the reasoning without it.
    """
    found = message.outline
    if not found or found["version"] != VERSION or found["words"] != message.reasoning_word_count:
        return None
    steps = [OutlineStep(start, label, StepKind(kind), second) for start, label, kind, second in found["steps"]]
    return ThoughtOutline(steps, found["characters"], found["words"])


def load_or_build(message: Message) -> ThoughtOutline | None:
    """Return the outline of a message whose reasoning is loaded; if it is not stored, make and store it.

    If the reasoning changes or is deleted meanwhile, nothing is stored: other requests and workers may do the same.
    """
    outline = load(message)
    if outline is None and not message.is_live and (outline := build(message.reasoning)):
        unchanged = Message.objects.filter(pk=message.pk, reasoning_words=message.reasoning_words)
        if message.reasoning_words is None:  # of an early version
            unchanged = Message.objects.filter(pk=message.pk, reasoning_words=None, reasoning=message.reasoning)
        # As `load` compares it: an earlier version may have counted the words differently.
        outline = outline._replace(words=message.reasoning_word_count)
        message.outline = stored(outline)
        unchanged.update(outline=message.outline)
    return outline


def _second(times: Times, start: int) -> float:
    """Return when the thought reached `start`, as if its text came evenly between two known times."""
    index = bisect_right(times, start, key=lambda pair: pair[0])
    if index in (0, len(times)):
        return times[index - 1][1] if index else 0
    (before, since), (after, until) = times[index - 1 : index + 1]
    return round(since + (until - since) * (start - before) / (after - before), 1)
