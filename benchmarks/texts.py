"""The model's answers: scripts of numbered words, prepared as the bytes of a stream.

Every delta contains one word, "Z" and its number. The last such word in a frame shows how much of the text has arrived,
whatever the markup around it.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# Real chunks have these fields. Without them the SDK would parse a chunk faster than a real one.
CHUNK = {"id": "chatcmpl-benchmark", "object": "chat.completion.chunk", "created": 1767225600, "model": "benchmark"}
USAGE = {"prompt_tokens": 12, "completion_tokens": 300, "total_tokens": 312}


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: its text, and the bytes that are sent for each delta."""

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
        """Return the seconds from the first delta to the last, if none is late."""
        return (len(self.deltas) - 1) * self.seconds

    def number_in(self, text: str) -> int:
        """Return the number of the last word in `text`, -1 if there is none."""
        numbers = self.word.findall(text)
        return int(numbers[-1]) if numbers else -1


@dataclass(frozen=True, slots=True)
class Playback:
    """A script sent to one reader, with the times (of the event loop's clock, in seconds) of what happened."""

    script: Script
    requested: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # by how many seconds each delta was late


def conversation(reasoning: int, answer: int, per_second: float) -> Script:
    """Return a script with these numbers of deltas: reasoning in one paragraph, an answer of paragraphs and lists."""
    digits = len(str(reasoning + answer))
    words = [f"Z{number:0{digits}}" for number in range(reasoning + answer)]
    reasoning_texts = [prose(number, word) for number, word in enumerate(words[:reasoning])]
    answer_texts = [mixed(number, word) for number, word in enumerate(words[reasoning:])]
    return _script(reasoning_texts, answer_texts, digits, per_second)


def long_text(kind: str, characters: int, per_second: float) -> Script:
    """Return a text of one of `KINDS` with about this many characters, at least eight in each delta."""
    texts = [KINDS[kind](number, f"Z{number:06}") for number in range(characters // 8)]
    return _script(texts, [], 6, per_second) if kind == "reasoning" else _script([], texts, 6, per_second)


def prose(number: int, word: str) -> str:
    return word + " "


def mixed(number: int, word: str) -> str:
    """Return the word as part of a block of fifty: a paragraph of thirty words and a list of four items."""
    position = number % 50
    if position == 0:
        return f"\n\n{word}" if number else word
    if position == 30:
        return f"\n\n- {word}"
    return f"\n- {word}" if position > 30 and position % 5 == 0 else f" {word}"


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


def _script(reasoning: Sequence[str], answer: Sequence[str], digits: int, per_second: float) -> Script:
    return Script(
        reasoning="".join(reasoning),
        answer="".join(answer),
        word=re.compile(rf"\bZ([0-9]{{{digits}}})\b"),
        deltas=[_event({"reasoning_content": text}) for text in reasoning]
        + [_event({"content": text}) for text in answer],
        ending=_event({}, "stop") + _chunk({**CHUNK, "choices": [], "usage": USAGE}) + _http_chunk(b"data: [DONE]\n\n"),
        seconds=1 / per_second,
    )


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    return _chunk({**CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})


def _chunk(payload: dict[str, object]) -> bytes:
    return _http_chunk(b"data: " + json.dumps(payload).encode() + b"\n\n")


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
