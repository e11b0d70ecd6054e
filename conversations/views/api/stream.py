"""Answers as server-sent events. A stream sends a client everything that it does not have, like the socket of a page.

An event's id says how much of the text a client has then, so a stream can go on where another has ended, at any
replica, also when the answer has ended meanwhile. If that text is not the beginning of the answer any more, because
another attempt was made or it turned out to be reasoning, the event `reset` tells the client to forget it.
"""

import asyncio
import logging
import re
import threading
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Self

from django.db import Error
from django.http import StreamingHttpResponse

from chatsite import metrics
from chatsite.outages import describe, is_outage
from conversations.consumers import RETRY_SECONDS, SOCKETS
from conversations.events import Topic, subscribe
from conversations.export import dump
from conversations.forwarding import HEARTBEAT_SECONDS
from conversations.generation import mirror
from conversations.generation.live import LiveText, gather_seconds, live_text
from conversations.models import ApiToken, Generation, Message
from conversations.models.message import PARAGRAPH_BREAK
from conversations.rendering.fragments import FRAME_CHARACTERS
from conversations.session_monitor import TokenUse, monitor
from conversations.threads import run_in_thread
from conversations.views.api.records import generation_record

logger = logging.getLogger(__name__)

MOST_STREAMS = SOCKETS  # of one user at this process
START = "retry: 1000\n\n"  # ms until a client that was disconnected should connect again
KEEP_ALIVE = ": keep-alive\n\n"
EVENT_ID = re.compile(r"(\d{1,4})-(\d{1,8})-(\d{1,10})-(\d{1,8})-(\d{1,10})", re.ASCII)

open_streams: Counter[int] = Counter()  # streams, by owner
_lock = threading.Lock()  # views begin streams in threads


class TooManyStreams(Exception):
    """The user has `MOST_STREAMS` open at this process."""


@dataclass
class Position:
    """How much of an answer a client has: characters and CRC-32 of its reasoning and its content, and the attempt."""

    attempt: int = 0
    reasoning: int = 0
    reasoning_sum: int = 0
    answer: int = 0
    answer_sum: int = 0

    @classmethod
    def parse(cls, event_id: str) -> Self:
        """Return the position of an event's id; the beginning if it is none."""
        found = EVENT_ID.fullmatch(event_id)
        return cls(*map(int, found.groups())) if found else cls()

    def __str__(self) -> str:
        parts = (self.attempt, self.reasoning, self.reasoning_sum, self.answer, self.answer_sum)
        return "-".join(map(str, parts))

    def is_in(self, reasoning: str, answer: str) -> bool:
        """Return whether what the client has is the beginning of these texts."""
        return (
            len(reasoning) >= self.reasoning
            and len(answer) >= self.answer
            and zlib.crc32(reasoning[: self.reasoning].encode()) == self.reasoning_sum
            and zlib.crc32(answer[: self.answer].encode()) == self.answer_sum
        )

    def advance(self, kind: str, text: str) -> None:
        if kind == "reasoning":
            self.reasoning += len(text)
            self.reasoning_sum = zlib.crc32(text.encode(), self.reasoning_sum)
        else:
            self.answer += len(text)
            self.answer_sum = zlib.crc32(text.encode(), self.answer_sum)


def stream_response(token: ApiToken, generation: Generation, position: Position) -> StreamingHttpResponse:
    """Return the stream of a generation, from a position on. Raises `TooManyStreams`."""
    with _lock:
        if open_streams[token.owner_id] >= MOST_STREAMS:
            raise TooManyStreams
        open_streams[token.owner_id] += 1
    # Nginx would keep events back without the last header.
    headers = {"X-Accel-Buffering": "no"}
    events = AnswerStream(token, generation, position)
    return StreamingHttpResponse(events, content_type="text/event-stream", headers=headers)


class AnswerStream:
    """The events of one generation for one client. Its response calls `close`, also if nothing was sent."""

    def __init__(self, token: ApiToken, generation: Generation, position: Position) -> None:
        self._token = token
        self._id, self._conversation_id = generation.pk, generation.conversation_id
        self._position = position
        self._wake = asyncio.Event()
        self._is_outdated = True  # the database may have something new
        self._end: str | None = None  # why the stream ends before the answer
        self._display: tuple[Any, ...] = ()
        self._resources = ExitStack()
        self._watching: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # once events were asked for

    def __aiter__(self) -> AsyncIterator[str]:
        return self._events()

    def close(self) -> None:
        # A generator that has just yielded an event to a client that left would be closed only when nothing refers to
        # it any more.
        if self._loop:
            self._loop.call_soon_threadsafe(self._resources.close)
        with _lock:
            open_streams[self._token.owner_id] -= 1
            if not open_streams[self._token.owner_id]:
                del open_streams[self._token.owner_id]

    async def _events(self) -> AsyncGenerator[str, None]:
        use, self._loop = TokenUse(self._token), asyncio.get_running_loop()
        with self._resources as stack:
            # Before anything is read, so that no change is missed.
            stack.enter_context(subscribe(Topic.CONVERSATION_CHANGED, self._changed, self._conversation_id))
            stack.enter_context(subscribe(Topic.DRAINING, lambda _: self._stop("draining")))
            stack.enter_context(monitor.watch(use))
            stack.callback(self._stop_watching)
            metrics.SOCKETS.inc()
            stack.callback(metrics.SOCKETS.dec)
            ended = asyncio.create_task(use.wait_for_end())
            stack.callback(ended.cancel)
            ended.add_done_callback(self._use_ended)
            yield START
            use.check()  # it may have ended since the request was authenticated
            while self._end is None:
                found = await self._read()
                if found is None:
                    self._stop("deleted")
                    break
                generation, message = found
                if not generation.is_live:
                    for event in self._rest(message.reasoning, message.content):
                        yield event
                    yield self._event("end", generation_record(generation))
                    return
                live = live_text(generation.pk, generation.message_id)
                if generation.is_continuation:
                    live.continue_from(message)
                async with aclosing(self._follow(live, generation.attempt)) as events:
                    async for event in events:
                        yield event
            if self._end != "draining":  # then clients connect again
                yield self._event("error", {"code": self._end})

    async def _follow(self, live: LiveText, attempt: int) -> AsyncGenerator[str, None]:
        """Yield the events of a live text until it ends, the database may have something new or the stream ends."""
        mirror.ensure_fed(live)
        self._watching = asyncio.create_task(self._watch(live))
        try:
            epoch: int | None = None  # of the text at which the client's position is known to be
            while self._end is None and not self._is_outdated:
                has_ended, sent = live.ended, False
                if epoch != live.epoch or self._position.attempt != live.attempt:
                    is_known = self._is_known(live, attempt)
                    if is_known is False:
                        yield self._reset(live.attempt)
                    epoch = None if is_known is None else live.epoch
                    if is_known is not None:
                        self._position.attempt = live.attempt
                if (display := (live.status, live.display.queue_position, live.notice)) != self._display:
                    self._display = display
                    names = ("status", "queue_position", "notice")
                    yield self._event("status", dict(zip(names, display, strict=True)))
                if epoch is not None:
                    for event in self._texts(*_text_after(live, self._position)):
                        sent = True
                        yield event
                if has_ended:
                    self._is_outdated = True  # the database has the outcome
                elif sent and not live.has_runner:  # a runner gathers deltas before it feeds them
                    await asyncio.sleep(gather_seconds(0))
                if not has_ended and not await self._woken():
                    yield KEEP_ALIVE
        finally:
            self._stop_watching()

    def _is_known(self, live: LiveText, attempt: int) -> bool | None:
        """Return whether a live text begins with what the client has; None if not enough of it has arrived yet."""
        position = self._position
        if not position.reasoning and not position.answer:
            return True
        # At attempt 0, the client has what was there before the answer was continued, which all attempts keep.
        if position.attempt and max(attempt, live.attempt) != position.attempt:
            return False
        reasoning, answer = _text_after(live, Position())
        if not live.has_runner and (len(reasoning) < position.reasoning or len(answer) < position.answer):
            return None
        return position.is_in(reasoning, answer)

    def _rest(self, reasoning: str, answer: str) -> Iterator[str]:
        """Yield what the client does not have of an answer that has ended."""
        if not self._position.is_in(reasoning, answer):
            yield self._reset(self._position.attempt)
        yield from self._texts(reasoning[self._position.reasoning :], answer[self._position.answer :])

    def _texts(self, reasoning: str, answer: str) -> Iterator[str]:
        for kind, text in (("reasoning", reasoning), ("answer", answer)):
            for start in range(0, len(text), FRAME_CHARACTERS):
                piece = text[start : start + FRAME_CHARACTERS]
                self._position.advance(kind, piece)
                yield self._event(kind, {"text": piece})

    def _reset(self, attempt: int) -> str:
        self._position = Position(attempt)
        return self._event("reset", {})

    def _event(self, name: str, data: dict[str, Any]) -> str:
        return f"event: {name}\nid: {self._position}\ndata: {dump(data)}\n\n"

    async def _read(self) -> tuple[Generation, Message] | None:
        """Return the generation and its message; None if they were deleted."""
        while True:
            self._is_outdated = False
            try:
                return await run_in_thread(self._query)
            except Error as error:
                if not is_outage(error):
                    raise
                logger.info("generation not read, retrying: %s", describe(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _query(self) -> tuple[Generation, Message] | None:
        # The generation first: if it has ended, its text is in the message.
        found = Generation.objects.visible_to(self._token.owner_id).defer("request").filter(pk=self._id)
        if (generation := found.first()) is None:
            return None
        messages = Message.objects.filter(pk=generation.message_id)
        if generation.is_live and not generation.is_continuation:
            messages = messages.only("pk")
        message = messages.first()
        if message and generation.is_live and generation.is_continuation:
            message.generation_list = list(message.generations.order_by("pk"))  # where its continuations begin
        return (generation, message) if message else None

    async def _watch(self, live: LiveText) -> None:
        while True:
            version = live.version
            self._wake.set()
            await live.wait_for_change(version)

    def _stop_watching(self) -> None:
        if self._watching:
            self._watching.cancel()

    async def _woken(self) -> bool:
        """Wait until there may be something to send; return False after `HEARTBEAT_SECONDS`."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    def _changed(self, _conversation_id: str) -> None:
        self._is_outdated = True
        self._wake.set()

    def _use_ended(self, use: "asyncio.Task[None]") -> None:
        self._stop("unauthorized")
        if not use.cancelled():
            use.result()

    def _stop(self, reason: str) -> None:
        self._end = self._end or reason
        self._wake.set()


def _text_after(live: LiveText, position: Position) -> tuple[str, str]:
    """Return the (reasoning, answer) of the message that a client at `position` does not have."""
    earlier, answer = live.earlier_text
    if earlier and live.reasoning.pieces:
        earlier += PARAGRAPH_BREAK
    return (
        earlier[position.reasoning :] + live.reasoning.after(max(0, position.reasoning - len(earlier))),
        answer[position.answer :] + live.answer.after(max(0, position.answer - len(answer))),
    )
