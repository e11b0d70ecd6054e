"""LiveText: what a generation has said so far, and cursors into it."""

import asyncio
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.utils.html import escape

from conversations.inference.tags import Delta
from conversations.models import Kind, Status
from conversations.rendering import fragments
from conversations.rendering.settle import Settler


class Cursor(NamedTuple):
    """How much of a LiveText a viewer has been sent. A new one is at zero: joining late is the same as lagging."""

    epoch: int = 0
    reasoning: int = 0  # pieces
    settled: int = 0  # pieces
    tail: int = 0  # version
    status: str = Status.QUEUED


class LiveText:
    """The text of one live generation in this process, fed by its runner or by a mirror of what was committed.

    Only the event loop touches it. `version` counts changes; `epoch` counts the times that what was sent stopped being
    true (answer text that turned out to be reasoning), so that cursors begin again.
    """

    def __init__(self, generation_id: int, message_id: int) -> None:
        self.generation_id = generation_id
        self.message_id = message_id
        self.status: str = Status.QUEUED
        self.has_runner = False  # in this process
        self.is_fed = False  # by its runner or a mirror
        self.ended = False
        self.version = 0
        self.epoch = 0
        self._reasoning: list[str] = []
        self._answer: list[str] = []
        self._settler = Settler(fragments.prefix(message_id))
        self._thinking_from: float | None = None
        self._thought_seconds: float | None = None
        self._changed = asyncio.Event()
        self._frames: dict[Cursor, tuple[int, list[str], Cursor]] = {}

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def answer(self) -> str:
        return "".join(self._answer)

    @property
    def thinking_seconds(self) -> float | None:
        if self._thought_seconds is not None or self._thinking_from is None:
            return self._thought_seconds
        return time.monotonic() - self._thinking_from

    @property
    def tail_characters(self) -> int:
        return self._settler.tail_characters

    def begin(self, seconds_ago: float = 0.0) -> None:
        """Start the clock: a worker has claimed the generation."""
        self._thinking_from = time.monotonic() - seconds_ago
        self._set_status(Status.THINKING)

    def feed(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if delta.relabels:
                self._relabel()
            if not delta.text:
                continue
            if delta.kind == Kind.REASONING:
                self._reasoning.append(delta.text)
            else:
                if self.status == Status.THINKING:
                    self._thought_seconds = self.thinking_seconds
                    self._set_status(Status.ANSWERING)
                self._answer.append(delta.text)
                self._settler.feed(delta.text)
        self._touch()

    def end(self) -> None:
        """Say that this text grows no further here: the generation ended or was lost. The database tells."""
        self.ended = True
        _live.pop(self.generation_id, None)
        self._touch()

    async def change_after(self, version: int) -> None:
        """Wait until `version` is no longer the newest."""
        while self.version == version:
            await self._changed.wait()

    def since(self, cursor: Cursor) -> tuple[list[str], Cursor]:
        """Return the frames that bring a viewer at `cursor` to now, and the cursor it is at then.

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
            parts += [fragments.replace(f"reasoning-{pk}", ""), fragments.replace(f"settled-{pk}", "")]
            cursor = Cursor(epoch=self.epoch, status=cursor.status)
        if more := "".join(self._reasoning[cursor.reasoning :]):
            parts.append(fragments.append(f"reasoning-{pk}", escape(more)))
        self._settler.advance()
        settled = self._settler.settled
        for piece in settled[cursor.settled :]:
            parts.append(fragments.append(piece.target or f"settled-{pk}", piece.html))
        tail = len(self._answer)
        if tail != cursor.tail:
            parts.append(fragments.replace(f"tail-{pk}", self._settler.tail_html()))
        if self.status != cursor.status:
            parts.append(fragments.progress(pk, self.status, self.thinking_seconds, self.reasoning))
        return fragments.frames(parts), Cursor(self.epoch, len(self._reasoning), len(settled), tail, self.status)

    def _relabel(self) -> None:
        self._reasoning += self._answer
        self._answer = []
        self._settler = Settler(fragments.prefix(self.message_id))
        self.epoch += 1
        # The answer that follows begins answering anew; until it comes, the model was thinking all along.
        self._thought_seconds = None
        self._set_status(Status.THINKING)

    def _set_status(self, status: str) -> None:
        self.status = status
        self._touch()

    def _touch(self) -> None:
        self.version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


_live: "weakref.WeakValueDictionary[int, LiveText]" = weakref.WeakValueDictionary()


def live_text(generation_id: int, message_id: int) -> LiveText:
    """Return this process's LiveText of a generation; runner and viewers share it as long as one of them holds it."""
    if (live := _live.get(generation_id)) is None:
        live = _live[generation_id] = LiveText(generation_id, message_id)
    return live


def tick_seconds(tail_characters: int) -> float:
    """Return how long a frame gathers deltas: 40 ms, more for a long open tail and in a process with much to do."""
    return min(0.25, 0.04 + tail_characters / 100_000 + len(_live) / 4_000)


def merge_pieces(deltas: Sequence[Delta]) -> list[tuple[Kind, str]]:
    """Return one (kind, text) for each run of deltas of a kind, for the chunks of a commit."""
    runs: list[tuple[Kind, list[str]]] = []
    for delta in deltas:
        if not delta.text:
            continue
        if not runs or runs[-1][0] != delta.kind:
            runs.append((delta.kind, []))
        runs[-1][1].append(delta.text)
    return [(kind, "".join(texts)) for kind, texts in runs]
