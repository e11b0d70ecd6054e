"""Live text of a generation that another process runs.

A process in which somebody watches asks all others for the text; the one that runs the generation sends it what it
does not have yet, every 100 ms, for as long as it goes on asking. While nothing comes (no channel layer, or one that is
down, frozen or lossy) the text is read from what was committed, once a second. Both ways give the text from an offset
on, so that it never matters which of them was heard last.
"""

import asyncio
import logging
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import DatabaseError
from django.db.models import Q

from conversations.events import Subscription, Topic, bus, subscribe
from conversations.generation.live import LiveText, Source
from conversations.inference.deltas import Delta, DeltaTotals
from conversations.models import Chunk, Generation, Kind, Status
from conversations.models.generation import RUNNING
from conversations.threads import in_thread

logger = logging.getLogger(__name__)

ASK_SECONDS = 1.0
SILENT_SECONDS = 1.5  # without an answer for this long, what was committed is shown
STORED_SECONDS = 5.0  # how often a text that is sent all the same asks storage whether it has ended
SEND_SECONDS = 0.1
FORGET_SECONDS = 5.0
MOST_CHARACTERS = 64_000  # of each kind in one message

_tasks: set[asyncio.Task[None]] = set()


def ensure_fed(live: LiveText) -> None:
    """Feed this text from elsewhere until it ends, unless its runner is here or a mirror runs already."""
    if not live.is_fed:
        live.is_fed = True
        task = asyncio.get_running_loop().create_task(Mirror(live).follow())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


class Mirror:
    """Feeds one LiveText whose runner is in another process, as long as somebody here holds it."""

    def __init__(self, live: LiveText) -> None:
        self._live = weakref.ref(live)
        self._id = live.generation_id
        self._sender = ""  # the channel of the process that runs the generation, once it has answered
        self._heard = time.monotonic()
        self._wake = asyncio.Event()
        self._forget_stored()

    async def follow(self) -> None:
        with (
            subscribe(Topic.MIRROR_TEXT, self._hear, self._id),
            subscribe(Topic.GENERATION_CLAIMED, self._claimed, self._id),
        ):
            read_at = time.monotonic()
            while (live := self._live()) is not None and not live.ended and not live.has_runner:
                await self._ask(live)
                if (silent := self._is_silent()) or time.monotonic() - read_at >= STORED_SECONDS:
                    read_at = time.monotonic()
                    await self._read(live)
                if silent:
                    live.update(source=Source.STORAGE)
                del live  # else this frame would keep it alive through the sleep
                try:
                    async with asyncio.timeout(ASK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass  # nothing new is known: ask again
                self._wake.clear()

    async def _ask(self, live: LiveText) -> None:
        have = [live.attempt, live.relabels, len(live.reasoning), len(live.answer)]
        question = {"generation": self._id, "channel": bus.channel, "have": have}
        if self._is_silent():
            self._sender = ""  # perhaps another process runs it by now
        if self._sender:
            await bus.send(self._sender, Topic.MIRROR_REQUEST, self._id, question)
        else:
            bus.publish(Topic.MIRROR_REQUEST, self._id, question)

    def _claimed(self, _subject: str) -> None:
        self._wake.set()

    def _is_silent(self) -> bool:
        return not bus.is_connected or time.monotonic() - self._heard >= SILENT_SECONDS

    def _hear(self, said: Mapping[str, Any]) -> None:
        live = self._live()
        if live is None or live.has_runner or live.ended:
            return
        version, ours = (said["attempt"], said["relabels"]), (live.attempt, live.relabels)
        if version < ours:
            return  # from a process that does not know yet that it was taken for dead
        self._sender, self._heard = said["from"], time.monotonic()
        if version > ours:
            live.begin(said["attempt"], said["seconds"])
            live.relabels = said["relabels"]
            self._forget_stored()
        deltas = []
        for kind, text in ((Kind.REASONING, live.reasoning), (Kind.ANSWER, live.answer)):
            missed = said["at"][kind] - len(text)
            if missed > 0:
                return  # a message was lost: the next question says from where on
            deltas.append(Delta(kind, said[kind][-missed:]))
        live.feed(deltas)
        if said["thought_seconds"] is not None:
            live.thought_seconds = said["thought_seconds"]
        live.update(source=Source(said["source"]), notice=said["notice"])
        if said["ended"]:
            live.end()

    async def _read(self, live: LiveText) -> None:
        """Feed what was committed beyond what is there. It may also be less: storage lags by a second."""
        try:
            generation, chunks = await in_thread(self._stored)
        except DatabaseError as error:
            logger.info("a live view waits for the database: %s", type(error).__name__)
            return
        if live.has_runner or live.ended:
            return
        if generation is None or generation.status not in (*RUNNING, Status.QUEUED):
            live.end()
            return
        if generation.status == Status.QUEUED:
            return
        if generation.attempt > live.attempt:
            live.begin(generation.attempt, generation.thinking_seconds or 0.0)
            if self._sequence >= 0:
                self._forget_stored()
                return  # the next time reads it from its beginning
        if generation.attempt == live.attempt:
            self._feed_stored(live, chunks)

    def _feed_stored(self, live: LiveText, chunks: list[tuple[int, str, str]]) -> None:
        deltas = []
        for sequence, kind, text in chunks:
            if sequence <= self._sequence:
                # The first chunk of answer, which was read before. It may have been relabelled as reasoning since.
                if kind == Kind.REASONING and live.answer.pieces:
                    relabelling = [Delta(Kind.REASONING, "", relabels=True)]
                    live.feed(relabelling)
                    self._stored_totals.add(relabelling, sequence)
                continue
            there = len(live.reasoning) if kind == Kind.REASONING else len(live.answer)
            there += sum(len(delta.text) for delta in deltas if delta.kind == kind)
            known = max(0, there - self._stored_totals.characters[Kind(kind)])
            deltas.append(Delta(Kind(kind), text[known:]))
            self._stored_totals.add([Delta(Kind(kind), text)], sequence)
            self._sequence = sequence
        live.feed(deltas)

    def _forget_stored(self) -> None:
        self._sequence = -1
        self._stored_totals = DeltaTotals[int]()  # `first_at` holds sequences

    def _stored(self) -> tuple[Generation | None, list[tuple[int, str, str]]]:
        # The generation first: if it is seen running, then what is read afterwards is its chunks, not its folded text.
        generation = Generation.objects.filter(pk=self._id).first()
        new = Q(sequence__gt=self._sequence) | Q(sequence=self._stored_totals.first_at.get(Kind.ANSWER))
        chunks = Chunk.objects.filter(new, generation=generation).order_by("sequence")
        return generation, list(chunks.values_list("sequence", "kind", "text"))


class Spoken(Protocol):
    """What runs here: a generation's live text."""

    live: LiveText


@dataclass(slots=True)
class Watcher:
    """Another process that mirrors a generation of ours, and how much it has."""

    generation_id: int
    channel: str
    asked: float
    have: tuple[int, ...]  # attempt, relabels, characters of reasoning, characters of answer
    told: tuple[object, ...] = ()
    knows_end: bool = False


class Senders:
    """Sends the texts of this process's runs to the processes that watch them."""

    def __init__(self, runs: Mapping[int, Spoken]) -> None:
        self._runs = runs
        self._watchers: dict[tuple[int, str], Watcher] = {}
        self._watched = asyncio.Event()
        self._subscription: Subscription | None = None

    def start(self) -> None:
        self._subscription = subscribe(Topic.MIRROR_REQUEST, self._watch)

    def close(self) -> None:
        if self._subscription:
            self._subscription.close()

    async def run(self) -> None:
        """Send what is new to everybody who watches, until cancelled."""
        while True:
            if not self._watchers:
                self._watched.clear()
                await self._watched.wait()
            for key, watcher in list(self._watchers.items()):
                run = self._runs.get(watcher.generation_id)
                if run is None or time.monotonic() - watcher.asked > FORGET_SECONDS:
                    self._watchers.pop(key, None)
                elif not await self._send(watcher, run.live):
                    break  # the layer is away: the others need not wait for it one after another
            await asyncio.sleep(SEND_SECONDS)

    async def say_ended(self, live: LiveText) -> None:
        """Tell those who watch `live` that the database knows how it ended."""
        for key, watcher in list(self._watchers.items()):
            if watcher.generation_id == live.generation_id and self._watchers.pop(key, None):
                while await self._send(watcher, live) and not watcher.knows_end:
                    pass  # it lagged: the rest comes in as many messages as it takes

    def _watch(self, question: Mapping[str, Any]) -> None:
        generation_id, channel = question["generation"], question["channel"]
        if generation_id in self._runs and channel != bus.channel:
            now, have = time.monotonic(), tuple(question["have"])
            self._watchers[generation_id, channel] = Watcher(generation_id, channel, now, have)
            self._watched.set()

    async def _send(self, watcher: Watcher, live: LiveText) -> bool:
        """Send what `watcher` does not have; tell whether that was possible."""
        if watcher.have[:2] != (live.attempt, live.relabels):
            watcher.have = (live.attempt, live.relabels, 0, 0)
        reasoning = live.reasoning.after(watcher.have[2])[:MOST_CHARACTERS]
        answer = live.answer.after(watcher.have[3])[:MOST_CHARACTERS]
        _, _, reasoning_at, answer_at = watcher.have
        characters = (reasoning_at + len(reasoning), answer_at + len(answer))
        ended = live.ended and characters == (len(live.reasoning), len(live.answer))
        told = (live.status, live.source, live.shown.notice, ended)
        if not reasoning and not answer and told == watcher.told:
            return True
        said = {
            "attempt": live.attempt,
            "relabels": live.relabels,
            "at": {Kind.REASONING.value: reasoning_at, Kind.ANSWER.value: answer_at},
            Kind.REASONING.value: reasoning,
            Kind.ANSWER.value: answer,
            "seconds": live.thinking_seconds or 0.0,
            "thought_seconds": live.thought_seconds,
            "source": live.source.value,
            "notice": live.shown.notice,
            "ended": ended,
            "from": bus.channel,
        }
        if not await bus.send(watcher.channel, Topic.MIRROR_TEXT, live.generation_id, said):
            return False
        watcher.have, watcher.told, watcher.knows_end = (*watcher.have[:2], *characters), told, ended
        return True
