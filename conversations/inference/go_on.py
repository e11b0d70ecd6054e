"""Going on with an answer where the endpoint completes no prefixes: ask for the rest in words, and join the parts."""

from collections.abc import Callable
from itertools import takewhile

from conversations.inference.tags import Delta
from conversations.models import Kind, Role

# Without words to repeat nothing tells whether the rest begins with a blank, a new line or in the middle of a word.
QUESTION = (
    "Your answer was cut off. Write the rest of it and nothing else: no greeting, no remark, no new beginning. "
    "Start by repeating its last words exactly as they stand here, so that the two parts can be joined:\n\n{words}"
)
MOST_WORDS = 6
MOST_CHARACTERS = 60


def question(answer: str) -> dict[str, str]:
    """Return the message that asks for the rest of `answer`."""
    return {"role": str(Role.USER), "content": QUESTION.format(words=last_words(answer).rstrip())}


def last_words(answer: str) -> str:
    """Return the end of `answer`: a few words of its last line with text, and the white space behind them."""
    text = answer.rstrip()
    line = text[-MOST_CHARACTERS:].rpartition("\n")[2]
    words = " ".join(line.split(" ")[-MOST_WORDS:]).lstrip()
    return answer[len(text) - len(words) :]


class Joint:
    """Pass deltas on to `sink`, leaving out the last words of `answer` where the rest of it begins by repeating them.

    Answer text is held back only as long as it may be those words. A rest that begins otherwise passes as it is.
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
        """Pass on what is held back, now that nothing follows."""
        if self._held:
            self._sink([self._release()])

    def _release(self) -> Delta:
        held, self._held = self._held or "", None
        begun = held.lstrip()
        pairs = zip(begun, self._words, strict=False)
        repeated = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return Delta(Kind.ANSWER, begun[repeated:] if repeated >= len(self._words.rstrip()) else held)
