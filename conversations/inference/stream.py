"""From an endpoint's bytes to deltas: every dialect of streamed chat completions in, one form out.

`EventReader` cuts bytes into server-sent events, `ChunkReader` reads their JSON, `TagReader` finds reasoning that
stands between tags in the content. All three give the same text however the bytes were cut into reads. `stream` runs
one request through them, with the only retry policy there is.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from conversations.inference import errors
from conversations.inference.tags import Delta, TagReader, merge
from conversations.models import Kind

logger = logging.getLogger(__name__)

TRIES = 3
LONGEST_WAIT = 20.0  # seconds of Retry-After that a person is made to wait; beyond it they are told instead
LONGEST_EVENT = 8 * 1024 * 1024  # bytes
# After [DONE] the response's end returns the connection to the pool; after a finish reason usage may still follow.
SECONDS_AFTER_DONE = 0.1
SECONDS_AFTER_FINISH = 2.0
# A read that brings this much tells of more that waits: it is followed by the next one at once.
FULL_READ = 8 * 1024  # bytes
REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the endpoint told them; None where it did not."""

    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    answer_tokens: int | None = None
    cached_tokens: int | None = None  # of the prompt's, those the endpoint had read before


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stream ended: the endpoint's finish reason, usage, and the field reasoning came in ('' if none came)."""

    finish_reason: str
    usage: Usage
    reasoning_field: str


class EventReader:
    """Cut bytes into the (event, data) of server-sent events, by the WHATWG rules; comments vanish."""

    def __init__(self) -> None:
        self.closed = False
        self._rest = b""
        self._event = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the events that `data` completes. Raises `Malformed` for an event over `LONGEST_EVENT` bytes."""
        # A carriage return at the very end may be half of a CRLF: leave it for the next read.
        buffer = self._rest + data
        held = b"\r" if buffer.endswith(b"\r") else b""
        if b"\r" in buffer:
            buffer = buffer[: len(buffer) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = buffer.split(b"\n")
        self._rest = rest + held
        if len(self._rest) > LONGEST_EVENT:
            raise errors.Malformed(f"an event of over {LONGEST_EVENT} bytes")
        events: list[tuple[bytes, bytes]] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append((self._event, b"\n".join(self._data)))
                self._event, self._data = b"", []
            elif line.startswith(b"data: "):  # as nearly all are
                self._data.append(line[6:])
            else:
                self._field(line)
        return events

    def close(self) -> list[tuple[bytes, bytes]]:
        """Return the last event of a server that ended its response without the blank line; it may be half of one."""
        self.closed = True
        return self.feed(b"\n\n")

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._event = value


class ChunkReader:
    """Read chat completion chunks: `read` returns their deltas, the rest is kept for `outcome`."""

    def __init__(self) -> None:
        self.finish_reason = ""
        self.done = False
        self.reasoning_field = ""
        self.usage = Usage()
        self._tags = TagReader()
        self._halves: dict[Kind, str] = {}

    @property
    def ended(self) -> bool:
        """Whether the endpoint said that this is all."""
        return self.done or bool(self.finish_reason)

    def patience(self, stall_seconds: float) -> float:
        """Return how many seconds the next payload may take."""
        if self.done:
            return SECONDS_AFTER_DONE
        return SECONDS_AFTER_FINISH if self.finish_reason else stall_seconds

    def read(self, event: bytes, data: bytes) -> list[Delta]:
        """Return the deltas of one event. Raises an `InferenceError` for an error event or unreadable data."""
        if data == b"[DONE]":
            self.done = True
            return []
        chunk = _parse(data)
        if event == b"error" or chunk.get("error"):
            raise errors.from_body(chunk)
        if chunk.get("usage"):
            self.usage = _usage(chunk["usage"])
        choices = chunk.get("choices")
        if not choices:
            return []
        try:
            choice = choices[0]
            delta = choice.get("delta") or {}
            if reason := choice.get("finish_reason"):
                self.finish_reason = str(reason)[:40]
            return self._delta(delta)
        except (AttributeError, LookupError, TypeError) as error:
            raise errors.Malformed(f"a chunk of unexpected shape: {type(error).__name__}") from error

    def close(self) -> list[Delta]:
        """Return what was held back in case it was the beginning of a tag."""
        return self._tags.close()

    def _delta(self, delta: dict[str, Any]) -> list[Delta]:
        deltas = []
        for field in REASONING_FIELDS:
            if text := delta.get(field):
                self.reasoning_field = field
                if text := self._whole(Kind.REASONING, text):
                    deltas.append(Delta(Kind.REASONING, text))
                break  # gateways may repeat the same text under a second name
        if text := delta.get("content"):
            text = self._whole(Kind.ANSWER, text)
            if self.reasoning_field in REASONING_FIELDS:
                deltas += self._tags.close()
                if text:
                    deltas.append(Delta(Kind.ANSWER, text))
            else:
                found = self._tags.feed(text)
                if self._tags.found:
                    self.reasoning_field = "<think>"
                deltas += found
        return deltas

    def _whole(self, kind: Kind, text: str) -> str:
        """Return clean text, the first half of a surrogate pair kept for the delta that brings the second."""
        if text.isascii() and "\x00" not in text and not self._halves:
            return text
        text = self._halves.pop(kind, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            self._halves[kind] = text[-1]
            text = text[:-1]
        return _clean(text)


async def stream(
    create: Callable[..., Any],
    request: dict[str, Any],
    sink: Callable[[list[Delta]], None],
    *,
    stall_seconds: float,
    gather_seconds: Callable[[], float] = lambda: 0.0,
    record: Callable[[bytes], object] | None = None,
) -> Outcome:
    """Send `request` and give `sink` the deltas of each read as they come; return how the stream ended.

    Between two reads lie `gather_seconds()`: waking for each delta would cost more than reading it.

    `create` is the SDK's `chat.completions.with_streaming_response.create`; its own retries must be off. A request is
    tried again only before its first delta, and only after a connection error, 429, 500 or 503. Leaving (cancelling)
    closes the upstream connection at once. Raises `InferenceError`.
    """
    begun = False

    def note(deltas: list[Delta]) -> None:
        nonlocal begun
        begun = True
        sink(deltas)

    for attempt in range(1, TRIES + 1):
        try:
            return await _once(create, request, note, stall_seconds, gather_seconds, record)
        except errors.InferenceError as error:
            wait = error.retry_after if error.retry_after is not None else 0.4 * 2**attempt * random.uniform(0.5, 1)  # noqa: S311
            if begun or not error.retryable or attempt == TRIES or wait > LONGEST_WAIT:
                raise
            logger.info("asking the endpoint again in %.1f s: %s", wait, error.detail)
            await asyncio.sleep(wait)
    raise AssertionError("unreachable")


async def _once(
    create: Callable[..., Any],
    request: dict[str, Any],
    sink: Callable[[list[Delta]], None],
    stall_seconds: float,
    gather_seconds: Callable[[], float],
    record: Callable[[bytes], object] | None,
) -> Outcome:
    events, chunks = EventReader(), ChunkReader()
    clock = asyncio.get_running_loop().time
    some = False
    response = None
    try:
        async with asyncio.timeout(stall_seconds) as deadline, create(**request) as response:
            async for data in _reads(response):
                if record:
                    record(data)
                # Keep-alive comments are bytes but no payload: only an event moves the deadline.
                if read := events.feed(data):
                    some = True
                    _pass_on(read, chunks, sink)
                    patience = chunks.patience(stall_seconds)
                    if abs(clock() + patience - deadline.when()) > patience / 32:  # a timer costs more than a look
                        deadline.reschedule(clock() + patience)
                is_last_for_now = len(data) < FULL_READ and not chunks.ended
                _go_on_reading(response, gather_seconds() if read and is_last_for_now else 0)
        if not chunks.ended and (read := events.close()):
            some = True
            _pass_on(read, chunks, sink)
    except TimeoutError:
        if not chunks.ended:
            raise errors.Stalled(f"no payload for {stall_seconds:.0f} s") from None
    except Exception as error:
        ours = errors.translate(error)  # which raises what is none of the endpoint's: a fault of ours stays one
        if response is not None and isinstance(ours, errors.CannotReach):
            try:
                if read := events.feed(_unread(response)):
                    some = True
                    _pass_on(read, chunks, sink)
            except errors.InferenceError as unreadable:
                ours = unreadable
        if not chunks.ended:
            _flush(chunks, sink)
            cut = some and (isinstance(ours, errors.CannotReach) or events.closed)
            raise (errors.Cut(ours.detail, retryable=True) if cut else ours) from error
    _flush(chunks, sink)
    if not chunks.ended:
        raise errors.Cut("no finish reason", retryable=True) if some else errors.Malformed("no event came")
    return Outcome(chunks.finish_reason or "stop", chunks.usage, chunks.reasoning_field)


def _pass_on(events: list[tuple[bytes, bytes]], chunks: ChunkReader, sink: Callable[[list[Delta]], None]) -> None:
    """Give `sink` the deltas of these events, those before an unreadable one too."""
    deltas: list[Delta] = []
    try:
        for event in events:
            deltas += chunks.read(*event)
    finally:
        if deltas:
            sink(merge(deltas))


def _reads(response: Any) -> AsyncIterator[bytes]:
    """Return what comes, piece by piece, each with all that is there. After each one `_go_on_reading` is to be called.

    The SDK's own iterator costs more than all else that reads a delta: three layers lie under it, and aiohttp resumes a
    connection that was not paused for each of a response's chunks. Without a mark to fall under it does not.
    """
    if "content-encoding" in response.headers:
        return response.iter_bytes()
    content = _aiohttp(response).content
    content._low_water = 0
    return content.iter_any()


def _go_on_reading(response: Any, seconds: float) -> None:
    """Read on, after so many seconds in which the kernel keeps what comes, to be read as one.

    Most of a packet's cost is the waking.
    """
    connection = _aiohttp(response).connection
    if connection is None or connection.transport is None or connection.transport.is_closing():
        return  # all has been read
    if not seconds:
        _resume(connection)
        return
    connection.transport.pause_reading()
    asyncio.get_running_loop().call_later(seconds, _resume, connection)


def _resume(connection: Any) -> None:
    if connection.protocol is not None:  # else the request was left meanwhile
        connection.protocol.resume_reading()


def _unread(response: Any) -> bytes:
    """Return what had come before a connection broke and was not read yet, while others were served or text gathered.

    aiohttp's reader raises the error and keeps what it has to itself, under private names.
    """
    if "content-encoding" in response.headers:
        return b""  # the beginning of which went elsewhere
    content = _aiohttp(response).content
    return b"".join(content._buffer)[content._buffer_offset :]


def _aiohttp(response: Any) -> Any:
    """Return aiohttp's own response, by private names of its bridge to the SDK."""
    return response.http_response.stream._stream._aiohttp_response


def _flush(chunks: ChunkReader, sink: Callable[[list[Delta]], None]) -> None:
    if deltas := chunks.close():
        sink(deltas)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which some servers send for half an emoji: the standard library reads them.
        try:
            chunk = json.loads(data)
        except ValueError as error:
            raise errors.Malformed("an event that is not JSON") from error
    if not isinstance(chunk, dict):
        raise errors.Malformed("an event that is not a JSON object")
    return chunk


def _clean(text: str) -> str:
    """Return text that UTF-8 and PostgreSQL can hold: no NUL, no lone surrogate; U+FFFD stands for either."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _usage(usage: Any) -> Usage:
    """Return the counts that are counts; endpoints also send null, strings and nothing."""
    fields = usage if isinstance(usage, dict) else {}
    reasoning = _count(_detail(fields, "completion_tokens_details", "reasoning_tokens"))
    cached = _count(_detail(fields, "prompt_tokens_details", "cached_tokens"))
    if cached is None:
        cached = _count(fields.get("prompt_cache_hit_tokens"))  # as DeepSeek says it
    completion = _count(fields.get("completion_tokens"))
    answer = completion if completion is None or reasoning is None else max(0, completion - reasoning)
    return Usage(_count(fields.get("prompt_tokens")), reasoning, answer, cached)


def _detail(usage: dict[str, Any], details: str, name: str) -> object:
    found = usage.get(details)
    return found.get(name) if isinstance(found, dict) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**31 else None
