"""What happens to running generations while the database is unavailable, and what a worker reports."""

import asyncio
import itertools
import uuid
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError

from chatsite import metrics
from chatsite.supervision import Supervisor
from chatsite.time_zones import site_day
from conversations.generation import commit, committer, worker
from conversations.generation.commit import Claim
from conversations.generation.committer import MAX_SECONDS_SINCE_COMMIT, UNSTORED_SECONDS, Committer
from conversations.generation.live import Source
from conversations.generation.mirror import MirrorSender
from conversations.generation.recovery import DATABASE_UNAVAILABLE
from conversations.generation.runner import Run
from conversations.generation.worker import UNREADY_SECONDS, GenerationWorker
from conversations.inference.deltas import Delta
from conversations.inference.endpoint import OpenModels
from conversations.models import Conversation, DailyUsage, Kind, Status, Worker
from conversations.threads import run_in_thread
from tests.factories import claimed, person, queued
from tests.models import NoEndpoint, without_endpoint
from tests.site import WAIT

NUMBERS = itertools.count(1_000_000)  # of generations: above those whose live text another test has not left yet


@pytest.fixture
async def this_worker() -> GenerationWorker:
    return GenerationWorker(without_endpoint())


def streaming(generation_worker: GenerationWorker, text: str) -> Run:
    """Return a run with uncommitted text."""
    number = next(NUMBERS)
    run = Run(Claim(number, 1, number, uuid.uuid4(), number), lambda: 1, NoEndpoint())
    run.feed([Delta(Kind.REASONING, text)])
    generation_worker.runs[number] = run
    return run


async def test_generations_are_interrupted_two_minutes_after_the_last_commit(this_worker: GenerationWorker):
    run = streaming(this_worker, "Hm. ")
    for seconds, source in ((UNSTORED_SECONDS, Source.LIVE), (MAX_SECONDS_SINCE_COMMIT, Source.UNSTORED)):
        this_worker.committer.seconds_since_commit = seconds
        this_worker.committer.check_uncommitted()
        assert (run.live.source, run.live.notice) == (source, "")
    this_worker.committer.seconds_since_commit += 1
    this_worker.committer.check_uncommitted()
    assert DATABASE_UNAVAILABLE in run.live.notice
    assert "4 characters are being saved" in run.live.notice


async def test_text_of_a_commit_in_progress_counts_towards_the_limit(
    monkeypatch: pytest.MonkeyPatch, this_worker: GenerationWorker
):
    monkeypatch.setattr(committer, "MAX_UNCOMMITTED_CHARACTERS", 10)
    runs = [streaming(this_worker, "So. "), streaming(this_worker, "Hm. ")]
    for run in runs:
        run.take_progress()  # for a commit that hangs
    this_worker.committer.check_uncommitted()
    assert not any(run.live.notice for run in runs)
    runs[0].feed([Delta(Kind.ANSWER, "Yes.")])
    this_worker.committer.check_uncommitted()
    assert all(DATABASE_UNAVAILABLE in run.live.notice for run in runs)


@pytest.mark.django_db(transaction=True)
async def test_every_loop_of_a_worker_is_supervised(monkeypatch: pytest.MonkeyPatch, this_worker: GenerationWorker):
    async def fail(_self: object) -> None:
        raise RuntimeError("a fault of this site")

    for loops, name in ((Committer, "run"), (Committer, "watch"), (GenerationWorker, "_sweep_loop")):
        monkeypatch.setattr(loops, name, fail)
    monkeypatch.setattr(MirrorSender, "run", fail)
    supervisor = Supervisor()
    monkeypatch.setattr(worker, "supervisor", supervisor)
    monkeypatch.setattr(worker, "_current", None)
    await this_worker.start()
    await asyncio.wait(this_worker._loops)
    assert sorted(supervisor.dead) == ["commit", "mirror", "sweep and claim", "watch commits"]
    await this_worker.drain(0)


@pytest.mark.django_db(transaction=True)
async def test_a_worker_without_a_model_writes_its_heartbeat_and_claims_nothing(monkeypatch: pytest.MonkeyPatch):
    loop, committed, write = asyncio.get_running_loop(), asyncio.Event(), commit.commit

    def write_and_tell(*arguments: Any) -> Any:
        written = write(*arguments)
        loop.call_soon_threadsafe(committed.set)
        return written

    monkeypatch.setattr(commit, "commit", write_and_tell)
    monkeypatch.setattr(committer, "COMMIT_SECONDS", 0.01)
    monkeypatch.setattr(worker, "_current", None)
    assert worker.readiness_problems() == ["starting"]
    waiting = await run_in_thread(lambda: queued(person()))
    without_model = GenerationWorker(OpenModels({}, []))
    await without_model.start()
    async with asyncio.timeout(WAIT):
        await committed.wait()
    assert await run_in_thread(lambda: Worker.objects.get().beat) > 0
    assert (worker.readiness_problems(), worker.degradations()) == ([], ["no model is connected"])
    without_model._queued(str(waiting.pk))
    await without_model.drain(0)
    await run_in_thread(waiting.refresh_from_db)
    assert (waiting.status, waiting.attempt) == (Status.QUEUED, 0)
    assert worker.readiness_problems() == ["shutting down"]


async def test_a_process_that_cannot_commit_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, this_worker: GenerationWorker
):
    monkeypatch.setattr(worker, "_current", this_worker)
    this_worker.committer.seconds_since_commit = UNREADY_SECONDS
    assert worker.readiness_problems() == []
    this_worker.committer.seconds_since_commit += 1
    assert worker.readiness_problems() == ["the database cannot be written"]


@pytest.mark.django_db
def test_only_what_a_free_place_would_start_counts_as_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "_current", None)
    ada = person()
    _, claim = claimed(ada)
    queued(ada, "And then?", Conversation.objects.get(generations=claim.generation_id))
    worker.update_metrics()
    assert metrics.registry.get_sample_value("chat_generations_queued") == 0
    queued(person("bob"))
    worker.update_metrics()
    assert metrics.registry.get_sample_value("chat_generations_queued") == 1


async def test_the_first_sweep_of_a_day_makes_usage_of_deleted_accounts_anonymous(
    monkeypatch: pytest.MonkeyPatch, this_worker: GenerationWorker, transactional_db
):
    async def marked() -> bool:
        return await DailyUsage.objects.exclude(deleted_account="").aexists()

    async def sweep_on(day: date) -> bool:
        monkeypatch.setattr(worker, "site_day", lambda: day)
        await this_worker._sweep()
        return await marked()

    await DailyUsage.objects.acreate(day=site_day() - timedelta(days=1), model="m", deleted_account="hash")
    assert await marked()
    assert not await sweep_on(site_day())
    await DailyUsage.objects.aupdate(deleted_account="hash")
    assert await sweep_on(site_day())  # not again on the same day
    assert not await sweep_on(site_day() + timedelta(days=1))


async def test_only_outages_of_the_database_leave_the_sweep_running(
    monkeypatch: pytest.MonkeyPatch, this_worker: GenerationWorker
):
    errors = iter([InterfaceError(), OperationalError(), DataError()])

    async def fail(_self: GenerationWorker) -> None:
        raise next(errors)

    monkeypatch.setattr(GenerationWorker, "_sweep", fail)
    monkeypatch.setattr(worker, "SWEEP_SECONDS", 0)
    with pytest.raises(DataError):
        await this_worker._sweep_loop()
    assert list(errors) == []
