"""The steps of a thought that grows, for the viewers of its text."""

from collections.abc import Sequence

from conversations.rendering import timeline
from conversations.rendering.steps import Step, StepSplitter
from conversations.rendering.timeline import Timeline


class LiveSteps:
    """Splits a thought once for all viewers, from the pieces of the reasoning that is continued and of the new one."""

    def __init__(self) -> None:
        self._splitter = StepSplitter()
        self._read = (0, 0)  # pieces of both
        self._characters = 0

    def read(self, earlier: Sequence[str], own: Sequence[str]) -> tuple[int, str] | None:
        """Read what is new; return the number of steps before the current one, and its label; None without any text."""
        for piece in (*earlier[self._read[0] :], *own[self._read[1] :]):
            self._splitter.feed(piece)
            self._characters += len(piece)
        self._read = (len(earlier), len(own))
        number, current = self._splitter.current
        return (number, current.label) if self._characters else None

    def all_of(self, characters: int) -> list[Step]:
        """Return all steps of a thought of so many characters that has ended; nothing unless viewers had it split."""
        return self._splitter.closed_steps() if self._characters == characters else []

    def timeline(self, status: str) -> Timeline | None:
        """Return the timeline of what has been read."""
        return timeline.of_splitter(self._splitter, self._characters, status)
