"""Send a chat completion request and read its stream, with the only retry policy there is."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conversations.inference import errors
from conversations.inference.chunks import ChunkReader, Usage
from conversations.inference.deltas import Delta, merge
from conversations.inference.sse import Event, EventReader

if TYPE_CHECKING:
    import openai

    from conversations.inference.transport import BodyReader

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
BACKOFF_SECONDS = 0.4  # doubled with each attempt
MAX_RETRY_SECONDS = 20.0  # a longer Retry-After is shown to the person instead of waited for
# More data is waiting behind a read as large as this: the next one follows at once.
LARGE_READ_BYTES = 8 * 1024
# The read timeout is not moved by less than this share of itself: moving a timer costs more than a comparison.
TIMEOUT_TOLERANCE = 1 / 32

Create = Callable[..., AbstractAsyncContextManager["openai.AsyncAPIResponse[Any]"]]
Sink = Callable[[list[Delta]], object]
Record = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stream ended. `reasoning_field` is where the reasoning was: a field's name, "<think>", or empty."""

    finish_reason: str
    usage: Usage
    reasoning_field: str


async def stream(
    create: Create,
    request: dict[str, Any],
    sink: Sink,
    *,
    stall_seconds: float,
    gather_seconds: Callable[[], float] | None = None,
    record: Record | None = None,
) -> Outcome:
    """Send `request`, pass the deltas of each read to `sink`, and return how the stream ended.

    `create` is `Endpoint.create`. After each read, text gathers for `gather_seconds()` before the next one. `record`
    receives the raw bytes of the response.

    A request is tried again only before its first delta, and only after a connection error, 429, 500 or 503.
    Cancelling closes the connection to the endpoint at once. Raises `InferenceError`.
    """
    has_deltas = False

    def note_and_pass_on(deltas: list[Delta]) -> None:
        nonlocal has_deltas
        has_deltas = True
        sink(deltas)

    attempt = 1
    while True:
        try:
            return await _attempt(create, request, note_and_pass_on, stall_seconds, gather_seconds, record)
        except errors.InferenceError as error:
            delay = error.retry_after
            if delay is None:
                delay = BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1)  # noqa: S311
            if has_deltas or not error.retryable or attempt == MAX_ATTEMPTS or delay > MAX_RETRY_SECONDS:
                raise
            logger.info("retrying the request in %.1f s: %s", delay, error.detail)
        await asyncio.sleep(delay)
        attempt += 1


async def _attempt(
    create: Create,
    request: dict[str, Any],
    sink: Sink,
    stall_seconds: float,
    gather_seconds: Callable[[], float] | None,
    record: Record | None,
) -> Outcome:
    events, chunks = EventReader(), ChunkReader()
    has_events = False
    failure: errors.InferenceError | None = None
    try:
        async with asyncio.timeout(stall_seconds) as deadline:
            with errors.translated():
                async with create(**request) as response:
                    reader: BodyReader = response.http_response.extensions["reader"]
                    async for data in _reads(response, reader):
                        if record:
                            record(data)
                        complete = events.feed(data)
                        if not complete:
                            continue  # comments keep a connection alive, but are no sign of progress
                        has_events = True
                        _pass_on(complete, chunks, sink)
                        _reschedule(deadline, chunks.read_timeout(stall_seconds))
                        if gather_seconds and len(data) < LARGE_READ_BYTES and not chunks.ended:
                            reader.pause(gather_seconds())
    except TimeoutError:
        failure = errors.Stalled(f"no event for {stall_seconds:.0f} s")
    except errors.InferenceError as error:
        failure = error
        if has_events and isinstance(error, errors.Unreachable):
            failure = _cut_by(error)
    if not failure and not chunks.ended and (last := events.close()):
        has_events = True
        try:
            _pass_on(last, chunks, sink)
        except errors.Malformed as error:
            failure = _cut_by(error)
    if held_back := chunks.close():
        sink(held_back)
    if chunks.ended:  # then whatever failed later does not matter
        return Outcome(chunks.finish_reason or "stop", chunks.usage, chunks.reasoning_field)
    if failure:
        raise failure
    raise errors.StreamCut("no finish reason", retryable=True) if has_events else errors.Malformed("no event came")


def _reads(response: "openai.AsyncAPIResponse[Any]", reader: "BodyReader") -> AsyncIterator[bytes]:
    """Return what arrives, decompressed. Where nothing is compressed the reader saves the SDK's three iterators."""
    return response.iter_bytes() if "content-encoding" in response.headers else reader


def _pass_on(events: Sequence[Event], chunks: ChunkReader, sink: Sink) -> None:
    """Pass the deltas of `events` to `sink`, also those before an event that cannot be read."""
    deltas: list[Delta] = []
    try:
        for event in events:
            deltas += chunks.read(event)
    finally:
        if deltas := merge(deltas):
            sink(deltas)


def _cut_by(error: errors.InferenceError) -> errors.StreamCut:
    cut = errors.StreamCut(error.detail, retryable=True)
    cut.__cause__ = error
    return cut


def _reschedule(deadline: asyncio.Timeout, seconds: float) -> None:
    when = asyncio.get_running_loop().time() + seconds
    if abs(when - (deadline.when() or 0)) > seconds * TIMEOUT_TOLERANCE:
        deadline.reschedule(when)
