"""Continue an answer that was cut, where the endpoint cannot complete a prefix: ask for the rest and join the parts."""

from collections.abc import Callable
from itertools import takewhile

from conversations.inference.deltas import Delta
from conversations.models import Kind, Role

# Without repeated words nothing tells whether the rest begins with a space, on a new line or in the middle of a word.
INSTRUCTION = (
    "Your answer was cut off. Write the rest of it and nothing else: no greeting, no remark, no new beginning. "
    "Start by repeating its last words exactly as they stand here, so that the two parts can be joined:\n\n{words}"
)
OVERLAP_WORDS = 6  # at most
OVERLAP_CHARACTERS = 60  # at most


def continuation_message(answer: str) -> dict[str, str]:
    """Return the message that asks for the rest of `answer`."""
    return {"role": str(Role.USER), "content": INSTRUCTION.format(words=last_words(answer).rstrip())}


def last_words(answer: str) -> str:
    """Return the end of `answer`: a few words of its last line that is not blank, and the white space after them."""
    text = answer.rstrip()
    line = text[-OVERLAP_CHARACTERS:].rpartition("\n")[2]
    words = " ".join(line.split(" ")[-OVERLAP_WORDS:]).lstrip()
    return answer[len(text) - len(words) :]


class OverlapTrimmer:
    """Pass deltas to `sink` without the last words of `answer`, if the rest of it begins by repeating them.

    Answer text is held back only while it may be those words. A rest that begins differently passes unchanged.
    """

    def __init__(self, answer: str, sink: Callable[[list[Delta]], None]) -> None:
        self._words = last_words(answer)
        self._sink = sink
        self._held: str | None = "" if self._words else None  # None once the rest has begun

    def __call__(self, deltas: list[Delta]) -> None:
        passed: list[Delta] = []
        for delta in deltas:
            if delta.relabels:
                passed.append(Delta(Kind.ANSWER, self._held or ""))
                self._held = ""
            if self._held is None or delta.kind == Kind.REASONING:
                passed.append(delta)
                continue
            self._held += delta.text
            begun = self._held.lstrip()
            if len(begun) >= len(self._words) or not self._words.startswith(begun):
                passed.append(self._release())
        if passed:
            self._sink(passed)

    def close(self) -> None:
        """Pass on the text that is held back, at the end of the stream."""
        if self._held:
            self._sink([self._release()])

    def _release(self) -> Delta:
        held, self._held = self._held or "", None
        begun = held.lstrip()
        pairs = zip(begun, self._words, strict=False)
        repeated = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return Delta(Kind.ANSWER, begun[repeated:] if repeated >= len(self._words.rstrip()) else held)
