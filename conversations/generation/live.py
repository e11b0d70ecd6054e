"""The text of a running generation in memory, and cursors into it."""

import asyncio
import time
import weakref
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from django.utils.html import escape

from conversations.generation.live_steps import LiveSteps
from conversations.generation.text_buffer import TextBuffer
from conversations.inference.deltas import Delta
from conversations.models import Kind, Message, Status
from conversations.models.generation import total_thinking_seconds
from conversations.models.message import PARAGRAPH_BREAK
from conversations.models.words import count_words
from conversations.rendering import fragments, outcomes
from conversations.rendering.fragments import FRAME_CHARACTERS
from conversations.rendering.incremental import IncrementalRenderer, assemble
from conversations.rendering.message_state import id_prefix
from conversations.rendering.steps import Step

TICK_SECONDS = 0.021  # all frames are made at multiples of this time


class Source(StrEnum):
    """Where a live text comes from; a page shows it."""

    LIVE = "live"
    STORAGE = "storage"  # committed chunks, up to a second old
    UNSTORED = "unstored"  # live, but the database has been unavailable for some seconds


class DisplayState(NamedTuple):
    """What a page shows of a live message besides its text."""

    status: str = Status.QUEUED
    queue_position: int | None = None
    notice: str = ""
    activity: str = outcomes.THINKING
    repeats: bool = False


class Cursor(NamedTuple):
    """How much of a LiveText a viewer has been sent. All viewers start at zero, so joining late is like lagging."""

    epoch: int = 0
    reasoning: int = 0  # pieces
    finalised: int = 0  # fragments
    tail: int = 0  # version of the text that is not finalised
    display: DisplayState = DisplayState()
    steps: tuple[int, str] | None = None  # number of finished steps, and the label of the open one


class LiveText:
    """The text of one live generation in this process. Its runner feeds it, or a mirror if that is in another process.

    Used on the event loop only. `version` counts changes. `epoch` counts how often text that was already sent became
    invalid, by relabelling or by a new attempt; cursors start again then.
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
        self.source = Source.STORAGE
        self.notice = ""
        self.final_thinking_seconds: float | None = None  # None until thinking has ended
        self.reasoning = TextBuffer()  # of this generation only, like `answer`
        self.answer = TextBuffer()
        # Of the message that this generation continues.
        self._earlier_reasoning: list[str] = []
        self._earlier_text = ("", "")
        self._earlier_seconds: float | None = None
        self._continuation_offsets: list[int] = []
        self._queue_position: int | None = None
        self._activity = outcomes.THINKING
        self.repeats = False  # the model was found to repeat itself
        self._renderer = IncrementalRenderer(id_prefix(message_id))
        self._steps = LiveSteps()
        self._started: float | None = None
        self._changed: asyncio.Event | None = None  # exists while someone waits for it
        self._frames: dict[Cursor, tuple[int, list[str], Cursor]] = {}

    @property
    def thinking_seconds(self) -> float | None:
        if self.final_thinking_seconds is not None or self._started is None:
            return self.final_thinking_seconds
        return time.monotonic() - self._started

    @property
    def tail_characters(self) -> int:
        return self._renderer.tail_characters

    @property
    def characters(self) -> int:
        """Return the length of the message's reasoning and answer."""
        return sum(map(len, self._earlier_text)) + len(self.reasoning) + len(self.answer)

    @property
    def earlier_text(self) -> tuple[str, str]:
        """Return the (reasoning, answer) that this generation continues."""
        return self._earlier_text

    @property
    def message_reasoning(self) -> str:
        """Return the message's reasoning, as it is shown to viewers."""
        return "".join(self._earlier_reasoning) + str(self.reasoning)

    @property
    def thought_so_far(self) -> tuple[int, float]:
        """Return the length of the message's reasoning, and the seconds of thinking that it took."""
        characters = sum(map(len, self._earlier_reasoning)) + len(self.reasoning)
        return characters, round((self._earlier_seconds or 0.0) + (self.thinking_seconds or 0.0), 1)

    @property
    def steps(self) -> list[Step]:
        """Return the steps of the message's reasoning, which has ended, if they are known."""
        return self._steps.all_of(self.thought_so_far[0])

    @property
    def html(self) -> str:
        """Return the HTML of the message's answer at a viewer who has been sent all of an ended text."""
        return assemble(self._renderer.finalised)

    @property
    def display(self) -> DisplayState:
        return DisplayState(self.status, self._queue_position, self.notice, self._activity, self.repeats)

    def continue_from(self, message: Message) -> None:
        """Show this generation's text as a continuation of `message`. Only the first call has an effect."""
        if self._earlier_seconds is None:
            self._earlier_text = (message.reasoning, message.content)
            self._continuation_offsets = message.continuation_offsets
            self._earlier_seconds = total_thinking_seconds(message.parts[:-1]) or 0.0
            self._restart_rendering()
            self._notify()

    def start(self, attempt: int, seconds_ago: float = 0.0) -> None:
        """Start an attempt, which a worker claimed `seconds_ago`. Text of an earlier attempt is dropped."""
        self.attempt, self.relabels = attempt, 0
        if self.reasoning.pieces or self.answer.pieces:
            self.reasoning, self.answer = TextBuffer(), TextBuffer()
            self._restart_rendering()
        self.final_thinking_seconds = None
        self._started = time.monotonic() - seconds_ago
        self._queue_position = None
        self.notice, self.repeats = "", False
        self._set_status(Status.THINKING)

    def feed(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if delta.relabels:
                self._relabel()
            if not delta.text:
                continue
            if delta.kind == Kind.REASONING:
                self._append_reasoning(delta.text)
            else:
                if self.status == Status.THINKING:
                    self.final_thinking_seconds = self.thinking_seconds
                    self._set_status(Status.ANSWERING)
                self.answer.append(delta.text)
                self._renderer.feed(delta.text)
        self._notify()

    def update(
        self,
        *,
        source: Source | None = None,
        queue_position: int | None = None,
        notice: str | None = None,
        activity: str = "",
        repeats: bool = False,
    ) -> None:
        """Change what is shown besides the text; None leaves it as it is. A position of 0 is not known."""
        before = (self.source, self.display)
        self.source = source or self.source
        self._queue_position = self._queue_position if queue_position is None else queue_position or None
        self.notice = self.notice if notice is None else notice
        self._activity = activity or self._activity
        self.repeats |= repeats
        if before != (self.source, self.display):
            self._notify()

    def end(self) -> None:
        """Mark this text as ended: the generation has an outcome, or was lost. The database has the rest."""
        self.ended = True
        self._renderer.close()
        if _live_texts.get(self.generation_id) is self:
            del _live_texts[self.generation_id]
        self._notify()

    async def wait_for_change(self, version: int) -> None:
        """Wait until `version` is outdated."""
        while self.version == version:
            self._changed = self._changed or asyncio.Event()
            await self._changed.wait()

    def is_behind(self, cursor: Cursor) -> bool:
        """Return whether there is finalised text that a viewer at `cursor` has not been sent."""
        reasoning = len(self._earlier_reasoning) + len(self.reasoning.pieces)
        newest = (self.epoch, reasoning, len(self._renderer.finalised))
        return (cursor.epoch, cursor.reasoning, cursor.finalised) != newest

    def frames_since(self, cursor: Cursor) -> tuple[list[str], Cursor]:
        """Return frames for a viewer at `cursor`, and its new cursor. A viewer that lags needs several calls.

        Frames are cached, so that viewers at the same cursor share them.
        """
        cached = self._frames.get(cursor)
        if cached is None or cached[0] != self.version:
            if cached is None and len(self._frames) > 64:
                self._frames.clear()
            cached = self._frames[cursor] = (self.version, *self._encode(cursor))
        return cached[1], cached[2]

    def _encode(self, cursor: Cursor) -> tuple[list[str], Cursor]:
        pk, parts = self.message_id, []
        if cursor.epoch != self.epoch:
            parts += [fragments.replace(f"{part}-{pk}", "") for part in ("reasoning", "timeline", "finalised", "tail")]
            cursor = Cursor(epoch=self.epoch, display=cursor.display)
        own = max(0, cursor.reasoning - len(self._earlier_reasoning))
        unsent = [*self._earlier_reasoning[cursor.reasoning :], *self.reasoning.pieces[own:]]
        pieces = _first_pieces(unsent, FRAME_CHARACTERS)
        if pieces:
            parts.append(fragments.append(f"reasoning-{pk}", escape("".join(pieces))))
        self._renderer.finalise()
        finalised, at = self._renderer.finalised, cursor.finalised
        room = FRAME_CHARACTERS - sum(map(len, pieces))
        while room > 0 and at < len(finalised):
            parts.append(fragments.append(finalised[at].target or f"finalised-{pk}", finalised[at].html))
            room -= len(finalised[at].html)
            at += 1
        reached = Cursor(self.epoch, cursor.reasoning + len(pieces), at, cursor.tail, cursor.display, cursor.steps)
        if not self.is_behind(reached):
            tail, display = bool(self._earlier_text[1]) + len(self.answer.pieces) + self.ended, self.display
            if tail != cursor.tail:
                parts.append(fragments.replace(f"tail-{pk}", self._renderer.tail_html()))
            steps = self._steps.read(self._earlier_reasoning, self.reasoning.pieces)
            if display != cursor.display:
                parts.append(self._progress(display))
            elif steps != cursor.steps:
                parts.append(fragments.growing_timeline(pk, self.status, self._steps.timeline(self.status)))
            reached = Cursor(self.epoch, reached.reasoning, at, tail, display, steps)
        return fragments.frames(parts), reached

    def _progress(self, display: DisplayState) -> str:
        thinking = display.status == Status.THINKING
        return fragments.progress(
            self.message_id,
            self.generation_id,
            display.status,
            display.queue_position,
            display.notice or outcomes.live_notice(display.status, repeats=display.repeats),
            display.activity,
            self._message_thinking_seconds,
            0 if thinking else count_words(self.message_reasoning),
            self._steps.timeline(display.status),
        )

    @property
    def _message_thinking_seconds(self) -> float | None:
        if self._earlier_seconds is None or self.status == Status.THINKING:
            return self.thinking_seconds
        return self._earlier_seconds + (self.thinking_seconds or 0.0 if self.reasoning.pieces else 0.0)

    def _append_reasoning(self, text: str) -> None:
        if self._earlier_reasoning and not self.reasoning.pieces:
            self._earlier_reasoning.append(PARAGRAPH_BREAK)
        self.reasoning.append(text)

    def _restart_rendering(self) -> None:
        reasoning, answer = self._earlier_text
        buffer = TextBuffer()
        buffer.append(reasoning)
        self._earlier_reasoning = buffer.pieces
        self._steps = LiveSteps()
        if self._earlier_reasoning and self.reasoning.pieces:
            self._earlier_reasoning.append(PARAGRAPH_BREAK)
        self._renderer = IncrementalRenderer(id_prefix(self.message_id))
        self._renderer.feed(answer, self._continuation_offsets)
        self.epoch += 1

    def _relabel(self) -> None:
        self._append_reasoning(str(self.answer))
        self.answer = TextBuffer()
        self._restart_rendering()
        self.relabels += 1
        # The model is thinking until the next answer text.
        self.final_thinking_seconds = None
        self._set_status(Status.THINKING)

    def _set_status(self, status: str) -> None:
        self.status = status
        self._notify()

    def _notify(self) -> None:
        self.version += 1
        if self._changed:
            self._changed.set()
            self._changed = None


def _first_pieces(pieces: Sequence[str], characters: int) -> Sequence[str]:
    """Return the first pieces up to the one in which `characters` is reached."""
    end = 0
    while end < len(pieces) and characters > 0:
        characters -= len(pieces[end])
        end += 1
    return pieces[:end]


_live_texts: "weakref.WeakValueDictionary[int, LiveText]" = weakref.WeakValueDictionary()


def live_text(generation_id: int, message_id: int) -> LiveText:
    """Return this process's LiveText of a generation, which exists while its runner or a viewer has a reference."""
    if (live := _live_texts.get(generation_id)) is None:
        live = _live_texts[generation_id] = LiveText(generation_id, message_id)
    return live


def queued_texts() -> list[LiveText]:
    """Return the texts in this process whose generation is still queued."""
    return [live for live in _live_texts.values() if live.status == Status.QUEUED]


def gather_seconds(tail_characters: int) -> float:
    """Return how long to gather deltas before the next frame: 42 ms; more for a long tail or with many live texts.

    A frame costs several times as much as a delta. With 50 texts it is 84 ms, with 200 it is 231. The frames of all
    texts are made at the same ticks, because several at a time cost a third less than the same number one by one.
    """
    ticks = round(min(0.25, 0.04 + tail_characters / 100_000 + len(_live_texts) / 1_000) / TICK_SECONDS)
    now = time.monotonic()
    return (now // TICK_SECONDS + ticks) * TICK_SECONDS - now
