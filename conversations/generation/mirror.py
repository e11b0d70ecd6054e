"""Live text of a generation that runs in another process.

A process with viewers sends a request to all others once a second. The one that runs the generation responds with the
missing text every 100 ms for as long as requests arrive. When no response arrives (the channel layer is not configured,
down, frozen or loses messages), the committed chunks are read from the database instead, once a second. Text from both
sources has an offset, so it does not matter in which order they arrive.
"""

import asyncio
import logging
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import Error
from django.db.models import Q

from conversations.events import Topic, bus, subscribe
from conversations.generation.live import LiveText, Source
from conversations.generation.runner import Run
from conversations.inference.deltas import Delta, DeltaTotals
from conversations.models import Chunk, Generation, Kind, Status
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

REQUEST_SECONDS = 1.0
RESPONSE_TIMEOUT = 1.5  # then committed chunks are shown
# Between reads of the database while responses arrive, to notice an end that was not announced.
READ_SECONDS = 5.0
SEND_SECONDS = 0.1
VIEWER_TIMEOUT = 5.0  # without a request
MAX_CHARACTERS = 64_000  # of each kind in one message

_tasks: set[asyncio.Task[None]] = set()


def ensure_fed(live: LiveText) -> None:
    """Start a mirror for this text, unless its runner or a mirror already feeds it."""
    if not live.is_fed:
        live.is_fed = True
        task = asyncio.get_running_loop().create_task(Mirror(live).run())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


class Mirror:
    """Feeds a LiveText from another process, until it ends or nothing in this process refers to it."""

    def __init__(self, live: LiveText) -> None:
        self._live = weakref.ref(live)
        self._id = live.generation_id
        self._sender = ""  # the channel of the process that runs the generation, if known
        self._received_at = time.monotonic()
        self._wake = asyncio.Event()
        # What was read from the database: the last chunk, and totals, in which `first_at` has chunk sequences.
        self._sequence = -1
        self._committed = DeltaTotals[int]()

    async def run(self) -> None:
        with (
            subscribe(Topic.MIRROR_TEXT, self._receive, self._id),
            subscribe(Topic.GENERATION_CLAIMED, self._claimed, self._id),
        ):
            read_at = time.monotonic()
            while (live := self._live()) is not None and not live.ended and not live.has_runner:
                self._request(live)
                if (timed_out := self._has_timed_out()) or time.monotonic() - read_at >= READ_SECONDS:
                    read_at = time.monotonic()
                    await self._read_committed(live)
                if timed_out:
                    live.update(source=Source.STORAGE)
                del live  # this reference would keep it alive while waiting
                try:
                    async with asyncio.timeout(REQUEST_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass  # time for the next request
                self._wake.clear()

    def _request(self, live: LiveText) -> None:
        have = [live.attempt, live.relabels, len(live.reasoning), len(live.answer)]
        request = {"generation": self._id, "channel": bus.channel, "have": have}
        if self._has_timed_out():
            self._sender = ""  # another process may run it now
        if self._sender:
            bus.send_soon(self._sender, Topic.MIRROR_REQUEST, self._id, request)
        else:
            bus.publish(Topic.MIRROR_REQUEST, self._id, request)

    def _claimed(self, _subject: str) -> None:
        self._wake.set()

    def _has_timed_out(self) -> bool:
        return not bus.is_connected or time.monotonic() - self._received_at >= RESPONSE_TIMEOUT

    def _receive(self, message: Mapping[str, Any]) -> None:
        live = self._live()
        if live is None or live.has_runner or live.ended:
            return
        match message:  # what is sent on Redis may come from anything
            case {
                "attempt": int(),
                "relabels": int(),
                "at": {Kind.REASONING: int(), Kind.ANSWER: int()},
                Kind.REASONING: str(),
                Kind.ANSWER: str(),
                "seconds": int() | float(),
                "thought_seconds": int() | float() | None,
                "source": Source.LIVE | Source.STORAGE | Source.UNSTORED as source,
                "notice": str(),
                "ended": bool(),
                "from": str(),
            }:
                pass
            case _:
                raise TypeError("not a text")
        received, current = (message["attempt"], message["relabels"]), (live.attempt, live.relabels)
        if received < current:
            return  # from a worker that was declared dead and does not know it yet
        self._sender, self._received_at = message["from"], time.monotonic()
        if received > current:
            live.start(message["attempt"], message["seconds"])
            live.relabels = message["relabels"]
            self._reset_committed()
        deltas = []
        for kind, text in ((Kind.REASONING, live.reasoning), (Kind.ANSWER, live.answer)):
            known = len(text) - message["at"][kind]
            if known < 0:
                return  # a message was lost; the next request has the offset
            deltas.append(Delta(kind, message[kind][known:]))
        live.feed(deltas)
        if message["thought_seconds"] is not None:
            live.final_thinking_seconds = message["thought_seconds"]
        # A replica of an earlier version does not send it.
        live.update(source=Source(source), notice=message["notice"], repeats=message.get("repeats") is True)
        if message["ended"]:
            live.end()

    async def _read_committed(self, live: LiveText) -> None:
        """Feed committed text that is not there yet. Often there is none, as commits are up to a second old."""
        try:
            generation, chunks = await run_in_thread(self._query)
        except Error as error:
            logger.info("committed text not read, retrying: %s", type(error).__name__)
            return
        if live.has_runner or live.ended:
            return
        if generation is None or not generation.is_live:
            live.end()
            return
        if generation.status == Status.QUEUED:
            if live.status != Status.QUEUED and live.attempt == generation.attempt:
                live.end()  # requeued: pages show it anew
            return
        if generation.attempt > live.attempt:
            live.start(generation.attempt, generation.thinking_seconds or 0.0)
            if self._sequence >= 0:
                self._reset_committed()
                return  # the next read starts at the first chunk
        if generation.attempt == live.attempt:
            self._feed_committed(live, chunks)

    def _feed_committed(self, live: LiveText, chunks: list[tuple[int, str, str]]) -> None:
        if live.relabels and self._sequence < 0 and chunks and chunks[0][1] == Kind.ANSWER:
            return  # that this is reasoning is known here already, but not committed
        deltas: list[Delta] = []
        for sequence, kind, text in chunks:
            if sequence <= self._sequence:
                # The first chunk of the answer, which is read every time because it may have been relabelled since.
                if kind == Kind.REASONING and live.answer.pieces:
                    relabelling = [Delta(Kind.REASONING, "", relabels=True)]
                    live.feed(relabelling)
                    self._committed.add(relabelling, sequence)
                continue
            present = len(live.reasoning) if kind == Kind.REASONING else len(live.answer)
            present += sum(len(delta.text) for delta in deltas if delta.kind == kind)
            known = max(0, present - self._committed.characters[Kind(kind)])
            deltas.append(Delta(Kind(kind), text[known:]))
            self._committed.add([Delta(Kind(kind), text)], sequence)
            self._sequence = sequence
        live.feed(deltas)

    def _reset_committed(self) -> None:
        self._sequence, self._committed = -1, DeltaTotals[int]()

    def _query(self) -> tuple[Generation | None, list[tuple[int, str, str]]]:
        # The generation first: if it is running, its text was still in its chunks when they are read.
        generation = Generation.objects.filter(pk=self._id).first()
        new = Q(sequence__gt=self._sequence) | Q(sequence=self._committed.first_at.get(Kind.ANSWER))
        chunks = Chunk.objects.filter(new, generation=generation).order_by("sequence")
        return generation, list(chunks.values_list("sequence", "kind", "text"))


@dataclass(slots=True)
class RemoteViewer:
    """Another process that mirrors a generation of this one."""

    generation_id: int
    channel: str
    requested_at: float
    have: tuple[int, ...]  # attempt, relabels, characters of reasoning, characters of answer
    last_sent: tuple[object, ...] = ()
    has_end: bool = False


class MirrorSender:
    """Sends the texts of this process's runs to the processes that mirror them."""

    def __init__(self, runs: Mapping[int, Run]) -> None:
        self._runs = runs
        self._viewers: dict[tuple[int, str], RemoteViewer] = {}
        self._has_viewers = asyncio.Event()

    async def run(self) -> None:
        """Send new text to all viewers, until cancelled."""
        with subscribe(Topic.MIRROR_REQUEST, self._add_viewer):
            while True:
                if not self._viewers:
                    self._has_viewers.clear()
                    await self._has_viewers.wait()
                for key, viewer in list(self._viewers.items()):
                    run = self._runs.get(viewer.generation_id)
                    if run is None or time.monotonic() - viewer.requested_at > VIEWER_TIMEOUT:
                        self._viewers.pop(key, None)
                    elif not await self._send(viewer, run.live):
                        break  # the channel layer is unavailable; do not time out for each viewer
                await asyncio.sleep(SEND_SECONDS)

    async def send_end(self, live: LiveText) -> None:
        """Send the rest of an ended text to its viewers, in as many messages as it takes.

        While the channel layer is unavailable this ends at the first failure; viewers read the end from the database.
        """
        for key, viewer in list(self._viewers.items()):
            if viewer.generation_id == live.generation_id and key in self._viewers:
                del self._viewers[key]
                while not viewer.has_end:
                    if not await self._send(viewer, live):
                        return

    def _add_viewer(self, request: Mapping[str, Any]) -> None:
        match request:
            case {
                "generation": int(generation_id),
                "channel": str(channel),
                "have": [int(), int(), int(), int()] as have,
            }:
                pass
            case _:
                raise TypeError("not a request")
        if generation_id in self._runs and channel != bus.channel:
            viewer = RemoteViewer(generation_id, channel, time.monotonic(), tuple(have))
            self._viewers[generation_id, channel] = viewer
            self._has_viewers.set()

    async def _send(self, viewer: RemoteViewer, live: LiveText) -> bool:
        """Send what `viewer` does not have; return False if the channel layer is unavailable."""
        if viewer.have[:2] != (live.attempt, live.relabels):
            viewer.have = (live.attempt, live.relabels, 0, 0)
        _, _, reasoning_at, answer_at = viewer.have
        reasoning = live.reasoning.after(reasoning_at)[:MAX_CHARACTERS]
        answer = live.answer.after(answer_at)[:MAX_CHARACTERS]
        characters = (reasoning_at + len(reasoning), answer_at + len(answer))
        ended = live.ended and characters == (len(live.reasoning), len(live.answer))
        state = (live.status, live.source, live.notice, live.repeats, ended)
        if not reasoning and not answer and state == viewer.last_sent:
            return True
        message = {
            "attempt": live.attempt,
            "relabels": live.relabels,
            "at": {Kind.REASONING.value: reasoning_at, Kind.ANSWER.value: answer_at},
            Kind.REASONING.value: reasoning,
            Kind.ANSWER.value: answer,
            "seconds": live.thinking_seconds or 0.0,
            "thought_seconds": live.final_thinking_seconds,
            "source": live.source.value,
            "notice": live.notice,
            "repeats": live.repeats,
            "ended": ended,
            "from": bus.channel,
        }
        if not await bus.send(viewer.channel, Topic.MIRROR_TEXT, live.generation_id, message):
            return False
        viewer.have, viewer.last_sent, viewer.has_end = (*viewer.have[:2], *characters), state, ended
        return True
