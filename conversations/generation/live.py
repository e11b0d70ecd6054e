"""LiveText: what a generation has said so far, and cursors into it."""

import asyncio
import time
import weakref
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

from django.utils.html import escape

from conversations.inference.deltas import Delta
from conversations.models import Kind, Message, Status
from conversations.models.generation import thought_seconds
from conversations.models.message import PARAGRAPH
from conversations.rendering import fragments, outcomes
from conversations.rendering.fragments import FRAME_CHARACTERS
from conversations.rendering.incremental import IncrementalRenderer, assemble

SLOT_SECONDS = 0.021  # apart are the moments at which frames are made, of whichever texts


class Source(StrEnum):
    """Where the text of a live generation comes from, as the page tells it."""

    LIVE = "live"
    STORAGE = "storage"  # what was committed, a second old at most
    UNSTORED = "unstored"  # live, and the database has been away for a while


class Shown(NamedTuple):
    """The phase and status that a page shows."""

    status: str = Status.QUEUED
    queue_position: int | None = None
    notice: str = ""
    activity: str = outcomes.THINKING


class Cursor(NamedTuple):
    """How much of a LiveText a viewer has been sent. A new one is at zero: joining late is the same as lagging."""

    epoch: int = 0
    reasoning: int = 0  # pieces
    finalised: int = 0  # fragments
    tail: int = 0  # version
    shown: Shown = Shown()


class Growing:
    """Text that only grows: cheap to append to, and to read from any offset."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._ends: list[int] = []

    def __str__(self) -> str:
        return "".join(self.pieces)

    def __len__(self) -> int:
        self._measure()
        return self._ends[-1] if self._ends else 0

    def append(self, text: str) -> None:
        for start in range(0, len(text), FRAME_CHARACTERS):
            self.pieces.append(text[start : start + FRAME_CHARACTERS])

    def after(self, offset: int) -> str:
        """Return what follows the first `offset` characters."""
        self._measure()
        at = bisect_right(self._ends, offset)
        begin = self._ends[at - 1] if at else 0
        return "".join(self.pieces[at:])[offset - begin :]

    def _measure(self) -> None:
        new = map(len, self.pieces[len(self._ends) :])
        if self._ends:
            self._ends += list(accumulate(new, initial=self._ends[-1]))[1:]
        else:
            self._ends = list(accumulate(new))


class LiveText:
    """The text of one live generation in this process, fed by its runner or by a mirror of one elsewhere.

    Only the event loop touches it. `version` counts changes; `epoch` counts the times that what was sent stopped being
    true (answer text that turned out to be reasoning, an attempt that began anew), so that cursors begin again.
    """

    def __init__(self, generation_id: int, message_id: int) -> None:
        self.generation_id = generation_id
        self.message_id = message_id
        self.status: str = Status.QUEUED
        self.attempt = 0
        self.relabels = 0  # in this attempt
        self.has_runner = False  # in this process
        self.is_fed = False  # by its runner or a mirror
        self.ended = False
        self.version = 0
        self.epoch = 0
        self.reasoning = Growing()
        self.answer = Growing()
        self._before = ("", "")  # reasoning and answer with which this generation goes on
        self._seconds_before: float | None = None
        self._joins: list[int] = []
        self._thought_before: list[str] = []
        self.source = Source.STORAGE
        self.thought_seconds: float | None = None
        self._queue_position: int | None = None
        self._notice = ""
        self._activity = outcomes.THINKING
        self._renderer = IncrementalRenderer(fragments.id_prefix(message_id))
        self._thinking_from: float | None = None
        self._changed: asyncio.Event | None = None  # there while somebody waits
        self._frames: dict[Cursor, tuple[int, list[str], Cursor]] = {}

    @property
    def thinking_seconds(self) -> float | None:
        if self.thought_seconds is not None or self._thinking_from is None:
            return self.thought_seconds
        return time.monotonic() - self._thinking_from

    @property
    def tail_characters(self) -> int:
        return self._renderer.tail_characters

    @property
    def characters(self) -> int:
        """How long the message is by now."""
        return sum(map(len, self._before)) + len(self.reasoning) + len(self.answer)

    @property
    def thought(self) -> str:
        """All reasoning that a viewer is shown."""
        return "".join(self._thought_before) + str(self.reasoning)

    @property
    def html(self) -> str:
        """What the answer's container holds at a viewer who has been sent all of an ended text."""
        return assemble(self._renderer.finalised)

    @property
    def shown(self) -> Shown:
        return Shown(self.status, self._queue_position, self._notice, self._activity)

    def go_on_from(self, message: Message) -> None:
        """Show what the message said before this generation, in front of what it says; the first to tell counts."""
        if self._seconds_before is None:
            self._before, self._joins = (message.reasoning, message.content), message.joins
            self._seconds_before = thought_seconds(message.parts[:-1]) or 0.0
            self._show_anew()
            self._touch()

    def begin(self, attempt: int, seconds_ago: float = 0.0) -> None:
        """Start the clock: a worker has claimed the generation. What an earlier attempt said is void."""
        self.attempt, self.relabels = attempt, 0
        if self.reasoning.pieces or self.answer.pieces:
            self.reasoning, self.answer = Growing(), Growing()
            self._show_anew()
        self.thought_seconds = None
        self._thinking_from = time.monotonic() - seconds_ago
        self._queue_position = None
        self._set_status(Status.THINKING)

    def feed(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if delta.relabels:
                self._relabel()
            if not delta.text:
                continue
            if delta.kind == Kind.REASONING:
                self._think(delta.text)
            else:
                if self.status == Status.THINKING:
                    self.thought_seconds = self.thinking_seconds
                    self._set_status(Status.ANSWERING)
                self.answer.append(delta.text)
                self._renderer.feed(delta.text)
        self._touch()

    def update(
        self,
        *,
        source: Source | None = None,
        queue_position: int | None = None,
        notice: str | None = None,
        activity: str = "",
    ) -> None:
        """Change what is shown besides the text: its source, position in the queue, notice and activity."""
        before = (self.source, self.shown)
        self.source = source or self.source
        self._queue_position = queue_position or self._queue_position
        self._notice = self._notice if notice is None else notice
        self._activity = activity or self._activity
        if before != (self.source, self.shown):
            self._touch()

    def end(self) -> None:
        """Say that this text grows no further here: the generation ended or was lost. The database tells."""
        self.ended = True
        self._renderer.close()
        if _live.get(self.generation_id) is self:
            del _live[self.generation_id]
        self._touch()

    async def change_after(self, version: int) -> None:
        """Wait until `version` is no longer the newest."""
        while self.version == version:
            self._changed = self._changed or asyncio.Event()
            await self._changed.wait()

    def is_behind(self, cursor: Cursor) -> bool:
        """Tell whether a viewer at `cursor` has yet to be sent text that is there."""
        thought = len(self._thought_before) + len(self.reasoning.pieces)
        at_end = (self.epoch, thought, len(self._renderer.finalised))
        return (cursor.epoch, cursor.reasoning, cursor.finalised) != at_end

    def since(self, cursor: Cursor) -> tuple[list[str], Cursor]:
        """Return frames that bring a viewer at `cursor` to now or some way towards it, and the cursor it is at then.

        Viewers at one cursor share one encoding.
        """
        known = self._frames.get(cursor)
        if known is None or known[0] != self.version:
            if known is None and len(self._frames) > 64:
                self._frames.clear()
            known = self._frames[cursor] = (self.version, *self._encode(cursor))
        return known[1], known[2]

    def _encode(self, cursor: Cursor) -> tuple[list[str], Cursor]:
        pk, parts = self.message_id, []
        if cursor.epoch != self.epoch:
            parts += [fragments.replace(f"{part}-{pk}", "") for part in ("reasoning", "finalised", "tail")]
            cursor = Cursor(epoch=self.epoch, shown=cursor.shown)
        own = max(0, cursor.reasoning - len(self._thought_before))
        thought = [*self._thought_before[cursor.reasoning :], *self.reasoning.pieces[own:]]
        pieces = _up_to(thought, FRAME_CHARACTERS)
        if pieces:
            parts.append(fragments.append(f"reasoning-{pk}", escape("".join(pieces))))
        self._renderer.finalise()
        finalised, at = self._renderer.finalised, cursor.finalised
        room = FRAME_CHARACTERS - sum(map(len, pieces))
        while room > 0 and at < len(finalised):
            parts.append(fragments.append(finalised[at].target or f"finalised-{pk}", finalised[at].html))
            room -= len(finalised[at].html)
            at += 1
        reached = Cursor(self.epoch, cursor.reasoning + len(pieces), at, cursor.tail, cursor.shown)
        if not self.is_behind(reached):
            tail, shown = bool(self._before[1]) + len(self.answer.pieces) + self.ended, self.shown
            if tail != cursor.tail:
                parts.append(fragments.replace(f"tail-{pk}", self._renderer.tail_html()))
            if shown != cursor.shown:
                parts.append(fragments.progress(pk, self.generation_id, *shown, self._shown_seconds, self.thought))
            reached = Cursor(self.epoch, reached.reasoning, at, tail, shown)
        return fragments.frames(parts), reached

    @property
    def _shown_seconds(self) -> float | None:
        if self._seconds_before is None or self.status == Status.THINKING:
            return self.thinking_seconds
        return self._seconds_before + (self.thinking_seconds or 0.0 if self.reasoning.pieces else 0.0)

    def _think(self, text: str) -> None:
        if self._thought_before and not self.reasoning.pieces:
            self._thought_before.append(PARAGRAPH)
        self.reasoning.append(text)

    def _show_anew(self) -> None:
        reasoning, answer = self._before
        before = Growing()
        before.append(reasoning)
        self._thought_before = before.pieces
        if self._thought_before and self.reasoning.pieces:
            self._thought_before.append(PARAGRAPH)
        self._renderer = IncrementalRenderer(fragments.id_prefix(self.message_id))
        self._renderer.feed(answer, self._joins)
        self.epoch += 1

    def _relabel(self) -> None:
        self._think(str(self.answer))
        self.answer = Growing()
        self._show_anew()
        self.relabels += 1
        # The answer that follows begins answering anew; until it comes, the model was thinking all along.
        self.thought_seconds = None
        self._set_status(Status.THINKING)

    def _set_status(self, status: str) -> None:
        self.status = status
        self._touch()

    def _touch(self) -> None:
        self.version += 1
        if self._changed:
            self._changed.set()
            self._changed = None


def _up_to(pieces: Sequence[str], characters: int) -> Sequence[str]:
    """Return the first pieces, together not much over so many characters."""
    end = 0
    while end < len(pieces) and characters > 0:
        characters -= len(pieces[end])
        end += 1
    return pieces[:end]


_live: "weakref.WeakValueDictionary[int, LiveText]" = weakref.WeakValueDictionary()


def live_text(generation_id: int, message_id: int) -> LiveText:
    """Return this process's LiveText of a generation; runner and viewers share it as long as one of them holds it."""
    if (live := _live.get(generation_id)) is None:
        live = _live[generation_id] = LiveText(generation_id, message_id)
    return live


def waiting() -> list[LiveText]:
    """Return the texts in this process that somebody watches and no worker has claimed yet."""
    return [live for live in _live.values() if live.status == Status.QUEUED]


def tick_seconds(tail_characters: int) -> float:
    """Return how long a frame gathers deltas: 42 ms, more for a long open tail and in a process with much to do.

    A frame costs several times what a delta does. 50 texts make it 84 ms, 200 make it 231. The frames of all texts fall
    into the same slots: what several do at a time costs a third less than what each does by itself, woken for it alone.
    """
    slots = round(min(0.25, 0.04 + tail_characters / 100_000 + len(_live) / 1_000) / SLOT_SECONDS)
    now = time.monotonic()
    return (now // SLOT_SECONDS + slots) * SLOT_SECONDS - now
