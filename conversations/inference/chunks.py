"""Chat completion chunks: from events to deltas, in every dialect that endpoints speak."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from conversations.inference import errors
from conversations.inference.deltas import Delta
from conversations.inference.sse import Event
from conversations.inference.tags import TagReader
from conversations.models import Kind

# How long to wait, in seconds, once the end was announced. After [DONE] only the end of the response is due, which
# returns the connection to the pool; after a finish reason the token counts may still follow.
SECONDS_AFTER_DONE = 0.1
SECONDS_AFTER_FINISH = 2.0
REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
FINISH_REASON_CHARACTERS = 40  # as many as the column holds


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the endpoint reported them; None where it did not."""

    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    answer_tokens: int | None = None
    cached_tokens: int | None = None  # the part of prompt_tokens that was in the endpoint's cache


class ChunkReader:
    """Read the chunks of one completion: `read` returns their deltas, the attributes hold everything else."""

    def __init__(self) -> None:
        self.finish_reason = ""
        self.done = False  # whether [DONE] came
        self.reasoning_field = ""  # where the reasoning was: a field's name, "<think>", or empty
        self.usage = Usage()
        self._tags = TagReader()
        self._surrogates: dict[Kind, str] = {}  # the first half of a surrogate pair that was split between two chunks

    @property
    def ended(self) -> bool:
        """Whether the endpoint said that the answer is over."""
        return self.done or bool(self.finish_reason)

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
            raise errors.from_body(chunk)
        if chunk.get("usage"):
            self.usage = _usage(chunk["usage"])
        choices = chunk.get("choices")
        if not choices:
            return []
        try:
            choice = choices[0]
            if reason := choice.get("finish_reason"):
                self.finish_reason = _clean(str(reason))[:FINISH_REASON_CHARACTERS]
            return self._deltas(choice.get("delta") or {})
        except (AttributeError, LookupError, TypeError) as error:
            raise errors.Malformed(f"a chunk of unexpected shape: {type(error).__name__}") from error

    def close(self) -> list[Delta]:
        """Return text that was held back because it might have been the beginning of a tag."""
        return self._tags.close()

    def _deltas(self, fields: dict[str, Any]) -> list[Delta]:
        deltas = []
        for name in REASONING_FIELDS:
            if text := fields.get(name):
                self.reasoning_field = name
                if text := self._repair(Kind.REASONING, text):
                    deltas.append(Delta(Kind.REASONING, text))
                break  # gateways may repeat the same text under a second name
        if text := fields.get("content"):
            text = self._repair(Kind.ANSWER, text)
            if self.reasoning_field in REASONING_FIELDS:  # then tags in the answer are text
                deltas += self._tags.close()
                if text:
                    deltas.append(Delta(Kind.ANSWER, text))
            else:
                deltas += self._tags.feed(text)
                if self._tags.found:
                    self.reasoning_field = "<think>"
        return deltas

    def _repair(self, kind: Kind, text: str) -> str:
        """Return `text` cleaned, with surrogate pairs joined that were split between two chunks."""
        if text.isascii() and "\x00" not in text and not self._surrogates:
            return text
        text = self._surrogates.pop(kind, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            self._surrogates[kind] = text[-1]
            text = text[:-1]
        return _clean(text)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which some servers send for half an emoji; the standard library reads them.
        try:
            chunk = json.loads(data)
        except ValueError as error:
            raise errors.Malformed("an event that is not JSON") from error
    if not isinstance(chunk, dict):
        raise errors.Malformed("an event that is not a JSON object")
    return chunk


def _clean(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot store, and lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _usage(usage: object) -> Usage:
    """Return the counts that are numbers; endpoints also send null, strings and nothing."""
    fields = usage if isinstance(usage, dict) else {}
    reasoning = _count(_detail(fields, "completion_tokens_details", "reasoning_tokens"))
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
    return value if isinstance(value, int) and 0 <= value < 2**31 else None
