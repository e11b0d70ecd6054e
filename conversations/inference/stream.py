"""Send a chat completion request and read its stream, with the only retry policy there is."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from traceback import clear_frames
from typing import TYPE_CHECKING, Any

from chatsite import tracing
from conversations.inference import errors, finish_reasons
from conversations.inference.chunks import ChunkReader, Usage
from conversations.inference.deltas import Delta, merge
from conversations.inference.files import remove_images, texts_of
from conversations.inference.sse import Event, EventReader
from conversations.models import Status

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
Amend = Callable[[dict[str, Any], errors.InferenceError], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the endpoint ended a stream.

    `finish_reason` is empty if it gave none. `reasoning_field` is where the reasoning was: a field's name, "<think>" or
    empty. `failure` is why the answer is not simply complete or at its length limit.
    """

    finish_reason: str
    usage: Usage
    reasoning_field: str
    failure: errors.InferenceError | None = None

    @property
    def status(self) -> Status:
        """Return the status of the generation."""
        if self.failure:
            return self.failure.status
        return Status.LENGTH if finish_reasons.is_length(self.finish_reason) else Status.COMPLETE


async def stream(
    create: Create,
    request: dict[str, Any],
    sink: Sink,
    *,
    stall_seconds: float,
    gather_seconds: Callable[[], float] | None = None,
    record: Record | None = None,
    amend: Amend | None = None,
    attempts: int = MAX_ATTEMPTS,
) -> Outcome:
    """Send `request`, pass the deltas of each read to `sink`, and return how the stream ended.

    `create` is `Endpoint.create`. After each read, text gathers for `gather_seconds()` before the next one. `record`
    receives the raw bytes of the response.

    A request is sent up to `attempts` times: again only before its first delta, and only after a connection error, 429,
    500 or 503. Besides, `amend` is called with the request and what came of it, and may return another one to send
    instead, once. With the first delta, the images are removed from its messages, which are not sent again.
    Cancelling closes the connection to the endpoint at once. Raises `InferenceError`.
    """
    has_deltas = False

    def note_and_pass_on(deltas: list[Delta]) -> None:
        nonlocal has_deltas
        if not has_deltas:
            has_deltas = True
            remove_images(request["messages"])
        sink(deltas)

    attempt = 1
    while True:
        try:
            with tracing.span("model endpoint", kind=tracing.Kind.CLIENT, attempt=attempt):
                return await _attempt(create, request, note_and_pass_on, stall_seconds, gather_seconds, record)
        except errors.InferenceError as error:
            # Those frames refer to the error, which refers to them: prompts would stay in memory after every failure.
            clear_frames(error.__traceback__)
            amended = amend(request, error) if amend and not has_deltas else None
            error.hide(text for message in request["messages"] for text in texts_of(message["content"]))
            if amended:
                logger.info("sending an amended request: %s", error.report)
                request, amend = amended, None
                continue
            delay = error.retry_after
            if delay is None:
                delay = BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1)  # noqa: S311
            if has_deltas or not error.retryable or attempt == attempts or delay > MAX_RETRY_SECONDS:
                raise
            logger.info("retrying the request in %.1f s: %s", delay, error.report)
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
    has_response = False
    failure: errors.InferenceError | None = None
    try:
        async with asyncio.timeout(stall_seconds) as deadline:
            with errors.translated():
                async with create(**request) as response:
                    has_response = True
                    chunks.keys = errors.keys_of(response.http_response.request)
                    reader: BodyReader = response.http_response.extensions["reader"]
                    async for data in _reads(response, reader):
                        if record:
                            record(data)
                        complete = events.feed(data)
                        if not complete:
                            continue  # comments keep a connection alive, but are no sign of progress
                        # Only text, and the end, are progress.
                        if _pass_on(complete, chunks, sink) or chunks.ended:
                            _reschedule(deadline, chunks.read_timeout(stall_seconds))
                        if gather_seconds and len(data) < LARGE_READ_BYTES and not chunks.ended:
                            reader.pause(gather_seconds())
    except TimeoutError:
        failure = errors.Stalled(f"no text for {stall_seconds:.0f} s")
    except errors.InferenceError as error:
        failure = error
        if has_response and isinstance(error, errors.Unreachable):
            failure = errors.StreamCut(error.detail, message=error.message, retryable=True)
            failure.__cause__ = error
    if not chunks.ended and (last := events.close()):
        try:
            _pass_on(last, chunks, sink)
        except errors.Malformed as error:
            # The last event of a stream that was cut is not expected to be whole.
            failure = failure or (error if events.is_object else None)
        except errors.InferenceError as error:
            failure = error
    if held_back := chunks.close():
        sink(held_back)
    if chunks.ended:  # then whatever failed later does not matter
        return Outcome(chunks.finish_reason, chunks.usage, chunks.reasoning_field, chunks.failure)
    if failure:
        raise failure
    if chunks.has_choices:
        raise errors.Unfinished("no finish reason", retryable=True)
    raise errors.Malformed("no completion came")


def _reads(response: "openai.AsyncAPIResponse[Any]", reader: "BodyReader") -> AsyncIterator[bytes]:
    """Return what arrives, decompressed. Where nothing is compressed the reader saves the SDK's three iterators."""
    return response.iter_bytes() if "content-encoding" in response.headers else reader


def _pass_on(events: Sequence[Event], chunks: ChunkReader, sink: Sink) -> bool:
    """Pass the deltas of `events` to `sink`, also those before an unreadable event; return whether there are any."""
    deltas: list[Delta] = []
    try:
        for event in events:
            deltas += chunks.read(event)
    finally:
        if deltas := merge(deltas):
            sink(deltas)
    return bool(deltas)


def _reschedule(deadline: asyncio.Timeout, seconds: float) -> None:
    when = asyncio.get_running_loop().time() + seconds
    if abs(when - (deadline.when() or 0)) > seconds * TIMEOUT_TOLERANCE:
        deadline.reschedule(when)
