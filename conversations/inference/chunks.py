"""Chat completion chunks: from events to deltas, in every dialect that endpoints speak."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from conversations.inference import errors, finish_reasons
from conversations.inference.deltas import Delta
from conversations.inference.sanitise import one_line, storable
from conversations.inference.sse import Event
from conversations.inference.tags import TagReader
from conversations.models import Kind

# How long to wait, in seconds, once the end was announced. After [DONE] only the end of the response is due, which
# returns the connection to the pool; after a finish reason the token counts may still follow.
SECONDS_AFTER_DONE = 0.1
SECONDS_AFTER_FINISH = 2.0
REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
# Types of parts of a content: Mistral's, Anthropic's and those of the Responses API.
REASONING_PARTS = ("thinking", "reasoning", "reasoning_content", "reasoning_text", "summary_text")
TEXT_PARTS = (None, "text", "output_text", *REASONING_PARTS)
TEXT_FIELDS = ("text", "thinking", "reasoning", "summary", "refusal", "content", "value")  # of a part
FINISH_REASON_CHARACTERS = 40  # as many as the column holds


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the endpoint reported them, None where it did not; or estimates from the texts."""

    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    answer_tokens: int | None = None
    cached_tokens: int | None = None  # the part of prompt_tokens that was in the endpoint's cache
    is_estimate: bool = False

    @property
    def counts(self) -> tuple[int | None, int | None, int | None]:
        """Return the tokens of prompt, reasoning and answer."""
        return self.prompt_tokens, self.reasoning_tokens, self.answer_tokens


@dataclass(slots=True)
class _Received:
    """How much text of one kind was read, and the first piece of it."""

    characters: int = 0
    beginning: str = ""

    def added(self, text: str) -> str:
        """Return what a message with `text` adds to what was read before.

        Some endpoints send the whole message so far with each chunk, or once more at the end; others send its pieces.
        """
        if not self.beginning or not text:
            return text
        whole = text if text.startswith(self.beginning) else text.lstrip()
        if len(whole) >= self.characters and whole.startswith(self.beginning):
            return whole[self.characters :]
        self.beginning = ""  # pieces: the next one that begins like the first is no repetition
        return text


class ChunkReader:
    """Read the chunks of one completion: `read` returns their deltas, the attributes hold everything else.

    Of several choices, only the first is read. Besides deltas, a chunk may contain a whole message, or plain text; the
    content may be a list of parts. Reasoning begins with its first character that is not white space.
    """

    def __init__(self) -> None:
        self.keys: tuple[str, ...] = ()  # that were sent, and must not be in the message of an error
        self.finish_reason = ""
        self.done = False  # whether [DONE] came
        self.reasoning_field = ""  # where the reasoning was: a field's name, "<think>", or empty
        self.usage = Usage()
        self.has_choices = False  # whether there was any chunk of a completion
        self._refuses = self._calls_tool = self._has_other_parts = False
        self._tags = TagReader()
        self._surrogates: dict[Kind, str] = {}  # the first half of a surrogate pair that was split between two chunks
        self._reasoning = _Received()  # outside the content: then tags in the content are text
        self._answer = _Received()

    @property
    def ended(self) -> bool:
        """Whether the endpoint said that the answer is over."""
        return self.done or bool(self.finish_reason)

    @property
    def failure(self) -> errors.InferenceError | None:
        """Why an answer that has ended is not simply complete or at its length limit."""
        has_answer = self._answer.characters > 0
        if self._refuses:
            return errors.Refused("the model refused")
        if self._calls_tool and not has_answer:
            return errors.ToolCalled("a tool was called")
        if self._has_other_parts and not has_answer:
            return errors.NotText("no part of the content is text")
        return finish_reasons.failure(self.finish_reason)

    def read_timeout(self, stall_seconds: float) -> float:
        """Return how many seconds to wait for the next event."""
        if self.done:
            return SECONDS_AFTER_DONE
        return SECONDS_AFTER_FINISH if self.finish_reason else stall_seconds

    def read(self, event: Event) -> list[Delta]:
        """Return the deltas of one event. Raises an `InferenceError` for an error event or unreadable data."""
        if event.data == b"[DONE]":
            self.done = True
            return []
        chunk = _parse(event.data)
        if event.name == b"error" or chunk.get("error"):
            raise errors.from_body(chunk, keys=self.keys)
        if chunk.get("usage"):
            self.usage = _usage(chunk["usage"])
        choices = chunk.get("choices")
        if not choices:
            self.has_choices |= choices is not None
            return []
        self.has_choices = True
        try:
            choice = choices[0]
            if choice.get("index"):
                choice = next((each for each in choices if each.get("index") in (0, "0", None)), {})
            if reason := choice.get("finish_reason"):
                self._read_finish_reason(reason)
            if (fields := choice.get("delta")) and (deltas := self._deltas(fields)):
                return deltas
            return self._whole(choice)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise errors.Malformed(f"a chunk of unexpected shape: {type(error).__name__}") from error

    def close(self) -> list[Delta]:
        """Return text that was held back because it might have been the beginning of a tag."""
        return self._tags.close()

    def _read_finish_reason(self, reason: object) -> None:
        text = one_line(reason if isinstance(reason, str) else type(reason).__name__, FINISH_REASON_CHARACTERS)
        if finish_reasons.is_reason(text):
            self.finish_reason = text

    def _deltas(self, fields: dict[str, Any]) -> list[Delta]:
        deltas: list[Delta] = []
        for name in REASONING_FIELDS:
            if text := fields.get(name):
                if type(text) is not str:
                    text = _joined(text)
                self._add_reasoning(name, text, deltas)
                break  # gateways may repeat the same text under a second name
        else:
            # OpenRouter repeats the text of its details in `reasoning`, except where there is no plain text.
            if "reasoning_details" in fields and self.reasoning_field not in REASONING_FIELDS:
                self._add_reasoning("reasoning_details", _joined(fields["reasoning_details"]), deltas)
        if text := fields.get("content"):
            if type(text) is str:
                self._add_answer(text, deltas)
            else:
                self._add_parts(text, deltas)
        if not deltas or len(fields) > 2:  # a usual delta has one or two fields
            if refusal := fields.get("refusal"):
                self._add_refusal(_joined(refusal), deltas)
            if fields.get("tool_calls") or fields.get("function_call"):
                self._calls_tool = True
        return deltas

    def _add_reasoning(self, field: str, text: str, deltas: list[Delta]) -> None:
        if not text.isascii() or "\x00" in text or self._surrogates:
            text = self._repair(Kind.REASONING, text)
        received = self._reasoning
        if not received.characters and (text := text.lstrip()):
            self.reasoning_field, received.beginning = field, text
        if text:
            received.characters += len(text)
            deltas.append(Delta(Kind.REASONING, text))

    def _add_answer(self, text: str, deltas: list[Delta]) -> None:
        if not text.isascii() or "\x00" in text or self._surrogates:
            text = self._repair(Kind.ANSWER, text)
        if not text:
            return
        received = self._answer
        if not received.characters:
            received.beginning = text
        received.characters += len(text)
        if self._reasoning.characters:
            deltas += self._tags.close()
            deltas.append(Delta(Kind.ANSWER, text))
        else:
            deltas += self._tags.feed(text)
            if self._tags.found:
                self.reasoning_field = "<think>"

    def _add_refusal(self, text: str, deltas: list[Delta]) -> None:
        """Add what the model says instead of an answer."""
        self._add_answer(text, deltas)
        self._refuses |= bool(text)

    def _add_parts(self, parts: Any, deltas: list[Delta]) -> None:
        for part in parts if isinstance(parts, list) else [parts]:
            kind = "text" if isinstance(part, str) else part.get("type")
            if kind == "refusal":
                self._add_refusal(_joined(part), deltas)
            elif kind in REASONING_PARTS:
                self._add_reasoning(kind, _joined(part), deltas)
            elif text := _joined(part):
                self._add_answer(text, deltas)
            elif kind not in TEXT_PARTS:
                self._has_other_parts = True

    def _whole(self, choice: dict[str, Any]) -> list[Delta]:
        """Return the deltas of a choice that has no delta: what its message adds, or its text."""
        message, text = choice.get("message"), choice.get("text")
        if not message:
            return self._deltas({"content": text}) if text else []
        fields = dict(message)
        for name in (*REASONING_FIELDS, "content", "refusal"):
            if isinstance(text := fields.get(name), str):
                fields[name] = (self._reasoning if name in REASONING_FIELDS else self._answer).added(text)
        return self._deltas(fields)

    def _repair(self, kind: Kind, text: str) -> str:
        """Return `text` cleaned, with surrogate pairs joined that were split between two chunks."""
        text = self._surrogates.pop(kind, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._surrogates[kind] = text[-1]
            text = text[:-1]
        return storable(text)


def _joined(value: object, depth: int = 4) -> str:
    """Return the text of a part, or of a list of parts; of what has none, ""."""
    if isinstance(value, str):
        return value
    if depth and isinstance(value, list):
        return "".join(_joined(each, depth - 1) for each in value)
    if depth and isinstance(value, dict):
        return next((text for name in TEXT_FIELDS if (text := _joined(value.get(name), depth - 1))), "")
    return ""


def _parse(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which some servers send for half an emoji; the standard library reads them.
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise errors.Malformed(f"an event that is not JSON: {type(error).__name__}") from error
    if not isinstance(chunk, dict):
        raise errors.Malformed("an event that is not a JSON object")
    return chunk


def _usage(usage: object) -> Usage:
    """Return the counts that are numbers; endpoints also send null, strings and nothing."""
    fields = usage if isinstance(usage, dict) else {}
    reasoning = _count(_detail(fields, "completion_tokens_details", "reasoning_tokens"))
    if reasoning is None:
        reasoning = _count(fields.get("reasoning_tokens")) or None  # SGLang's place; 0 in versions that do not count
    cached = _count(_detail(fields, "prompt_tokens_details", "cached_tokens"))
    if cached is None:
        cached = _count(fields.get("prompt_cache_hit_tokens"))  # DeepSeek's name
    completion = _count(fields.get("completion_tokens"))
    answer = completion if completion is None or reasoning is None else max(0, completion - reasoning)
    return Usage(_count(fields.get("prompt_tokens")), reasoning, answer, cached)


def _detail(usage: dict[str, Any], group: str, name: str) -> object:
    details = usage.get(group)
    return details.get(name) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None
