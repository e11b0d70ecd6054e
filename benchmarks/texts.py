"""What the model says: scripts of numbered words, ready as the bytes of a stream.

Every delta holds one word, "Z" and its number: the last such word in a frame tells how far the text has come, whatever
markup stands around it.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# Without the SDK's usual fields a typed chunk would be cheaper than any real one.
CHUNK = {"id": "chatcmpl-benchmark", "object": "chat.completion.chunk", "created": 1767225600, "model": "benchmark"}
USAGE = {"prompt_tokens": 12, "completion_tokens": 300, "total_tokens": 312}


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: the text of each delta, and what goes over the wire for it."""

    reasoning: str
    answer: str
    word: re.Pattern[str]
    deltas: Sequence[bytes]
    ending: bytes
    seconds: float  # between two deltas

    @property
    def characters(self) -> int:
        return len(self.reasoning) + len(self.answer)

    @property
    def ideal_seconds(self) -> float:
        """Return how long it takes to send: from the first delta to the last."""
        return (len(self.deltas) - 1) * self.seconds

    def number_in(self, text: str) -> int:
        """Return the number of the last word in `text`, -1 if there is none."""
        numbers = self.word.findall(text)
        return int(numbers[-1]) if numbers else -1


@dataclass(frozen=True, slots=True)
class Play:
    """A script being played to one reader, with the times (of the event loop's clock) at which things happened."""

    script: Script
    requested: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # seconds after it was due, for each delta


def conversation(reasoning: int, answer: int, per_second: float) -> Script:
    """Return so many deltas of each kind: thoughts in one run, an answer of paragraphs and lists."""
    digits = len(str(reasoning + answer))
    words = [f"Z{number:0{digits}}" for number in range(reasoning + answer)]
    thoughts = [prose(place, word) for place, word in enumerate(words[:reasoning])]
    answers = [mixed(place, word) for place, word in enumerate(words[reasoning:])]
    return _script(thoughts, answers, digits, per_second)


def long_text(kind: str, characters: int, per_second: float) -> Script:
    """Return one of `KINDS` in about so many characters, eight or a few more to a delta."""
    texts = [KINDS[kind](place, f"Z{place:06}") for place in range(characters // 8)]
    return _script(texts, [], 6, per_second) if kind == "reasoning" else _script([], texts, 6, per_second)


def prose(number: int, word: str) -> str:
    return word + " "


def mixed(number: int, word: str) -> str:
    """Fifty words at a time: a paragraph of thirty and a list of four items."""
    place = number % 50
    if place == 0:
        return f"\n\n{word}" if number else word
    if place == 30:
        return f"\n\n- {word}"
    return f"\n- {word}" if place > 30 and place % 5 == 0 else f" {word}"


def fence(number: int, word: str) -> str:
    opening = "```python\n" if number == 0 else ""
    return f"{opening}{word},\n" if number % 8 == 7 else f"{opening}{word}, "


def listing(number: int, word: str) -> str:
    return f"- {word} " if number % 8 == 0 else f"{word}\n" if number % 8 == 7 else f"{word} "


def table(number: int, word: str) -> str:
    opening = "| a | b | c | d |\n|---|---|---|---|\n" if number == 0 else ""
    return f"{opening}| {word} |" if number % 4 == 0 else f" {word} |\n" if number % 4 == 3 else f" {word} |"


KINDS: dict[str, Callable[[int, str], str]] = {
    "reasoning": prose,
    "fence": fence,
    "list": listing,
    "table": table,
    "paragraph": prose,
}


def _script(thoughts: Sequence[str], answers: Sequence[str], digits: int, per_second: float) -> Script:
    return Script(
        reasoning="".join(thoughts),
        answer="".join(answers),
        word=re.compile(rf"\bZ([0-9]{{{digits}}})\b"),
        deltas=[_event({"reasoning_content": text}) for text in thoughts]
        + [_event({"content": text}) for text in answers],
        ending=_event({}, "stop") + _chunk({**CHUNK, "choices": [], "usage": USAGE}) + _http_chunk(b"data: [DONE]\n\n"),
        seconds=1 / per_second,
    )


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    return _chunk({**CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})


def _chunk(payload: dict[str, object]) -> bytes:
    return _http_chunk(b"data: " + json.dumps(payload).encode() + b"\n\n")


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
