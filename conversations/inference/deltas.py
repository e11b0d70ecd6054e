"""Deltas: the pieces in which a model's text arrives, each either reasoning or answer."""

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from conversations.models import Kind

When = TypeVar("When")


class Delta(NamedTuple):
    """A piece of a model's text. If it `relabels`, all answer text before it was in fact reasoning."""

    kind: Kind
    text: str
    relabels: bool = False


def merge(deltas: Iterable[Delta]) -> list[Delta]:
    """Join neighbours of one kind and leave out empty deltas.

    Relabelling is applied to the deltas before it, so at most the first delta returned relabels.
    """
    merged: list[Delta] = []
    for delta in deltas:
        if delta.relabels:
            text = "".join(earlier.text for earlier in merged)
            merged = [Delta(Kind.REASONING, text + delta.text, relabels=True)]
        elif merged and merged[-1].kind == delta.kind:
            last = merged[-1]
            merged[-1] = Delta(last.kind, last.text + delta.text, last.relabels)
        elif delta.text:
            merged.append(delta)
    return merged


class DeltaTotals(Generic[When]):
    """How many characters of each kind came, and when the first of them did. Applies relabelling."""

    def __init__(self) -> None:
        self.characters = {Kind.REASONING: 0, Kind.ANSWER: 0}
        self.first_at: dict[Kind, When] = {}

    def add(self, deltas: Iterable[Delta], at: When) -> None:
        """Count `deltas`, which came at `at`: a time, or whatever else tells when."""
        for delta in deltas:
            if delta.relabels:
                self._relabel()
            if delta.text:
                self.first_at.setdefault(delta.kind, at)
                self.characters[delta.kind] += len(delta.text)

    def _relabel(self) -> None:
        self.characters[Kind.REASONING] += self.characters[Kind.ANSWER]
        self.characters[Kind.ANSWER] = 0
        if Kind.ANSWER in self.first_at:
            answer_at = self.first_at.pop(Kind.ANSWER)
            self.first_at.setdefault(Kind.REASONING, answer_at)
