"""How long, and how much, text waits for a database that is away."""

import asyncio
from collections.abc import Coroutine

import pytest

from conversations.generation import worker
from conversations.generation.commit import DATABASE_AWAY, Claim
from conversations.generation.live import Source
from conversations.generation.runner import Run
from conversations.generation.worker import GenerationWorker
from conversations.inference.deltas import Delta
from conversations.models import Kind


class NoEndpoint:
    model = "test-model"


class Hurried(asyncio.SelectorEventLoop):
    """A loop in which waiting takes no time: its clock is set to when the next one has waited long enough."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._now = max(self._now, self._scheduled[0].when())
        super()._run_once()


def hurry(story: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=Hurried) as runner:
        runner.run(story)


def streaming(generation_worker: GenerationWorker, text: str) -> Run:
    """Return a run that has said something and waits for the database."""
    number = len(generation_worker.runs) + 1
    run = Run(Claim(number, 1, number, number, number), lambda: 1, NoEndpoint())
    run._feed([Delta(Kind.REASONING, text)])
    generation_worker.runs[number] = run
    return run


def test_text_waits_two_minutes_for_the_database_then_it_is_interrupted():
    async def story() -> None:
        this = GenerationWorker(NoEndpoint())
        run = streaming(this, "Hm. ")
        watch = asyncio.create_task(this._watch_database())
        await asyncio.sleep(worker.AWAY_SECONDS - 0.5)
        this._away = 0.0  # it came back in time, and went again
        await asyncio.sleep(worker.AWAY_SECONDS - 0.5)
        assert run.live.source == Source.UNSTORED
        assert DATABASE_AWAY not in run.live.shown.notice
        await asyncio.sleep(2 * worker.BEAT_SECONDS)
        assert DATABASE_AWAY in run.live.shown.notice
        assert "4 characters are saved" in run.live.shown.notice
        watch.cancel()

    hurry(story())


def test_what_a_hanging_commit_holds_is_in_memory_all_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "MOST_WAITING_CHARACTERS", 10)

    async def story() -> None:
        this = GenerationWorker(NoEndpoint())
        runs = [streaming(this, "So. "), streaming(this, "Hm. ")]
        watch = asyncio.create_task(this._watch_database())
        taken = [run.take_progress() for run in runs]  # and no word of what became of it
        await asyncio.sleep(2 * worker.BEAT_SECONDS)
        assert not any(run.live.shown.notice for run in runs)
        runs[0]._feed([Delta(Kind.ANSWER, "Yes.")])
        await asyncio.sleep(2 * worker.BEAT_SECONDS)
        assert all(DATABASE_AWAY in run.live.shown.notice for run in runs)
        assert len(taken) == 2
        watch.cancel()

    hurry(story())
