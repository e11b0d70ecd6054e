"""The worker of a serving process: claims and runs generations, sweeps and drains."""

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Coroutine, Iterable
from contextlib import ExitStack
from datetime import date
from typing import Any

from django.conf import settings
from django.db import Error

from chatsite import metrics
from chatsite.logs import bind_log_context
from chatsite.outages import describe, is_outage
from chatsite.supervision import supervisor
from chatsite.time_zones import site_day
from conversations.events import Topic, publish, subscribe
from conversations.generation import commit, recovery
from conversations.generation.committer import Committer
from conversations.generation.live import queued_texts
from conversations.generation.liveness import LivenessMonitor, ProcessLock
from conversations.generation.mirror import MirrorSender
from conversations.generation.runner import Run
from conversations.generation.titles import Titles
from conversations.generation.trace import generation_span
from conversations.generation.unknown_models import UnknownModels, waiting_notices
from conversations.inference.endpoint import OpenModels
from conversations.inference.errors import failures
from conversations.models import Generation, Status, Worker
from conversations.models.usage import forget_deleted_accounts
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
UNREADY_SECONDS = 5.0  # after the last commit, load balancers are told that the database cannot be written
# After the time to drain: to write results of interrupted generations, and to delete this worker's row.
WRITE_SECONDS = 3.0
SIGN_OFF_SECONDS = 1.0


_current: "GenerationWorker | None" = None


def is_draining() -> bool:
    """Return whether this process is shutting down."""
    return _current is not None and _current.draining


def readiness_problems() -> list[str]:
    """Return the reasons why this process should get no requests; none if it is ready."""
    if _current is None:
        return ["starting"]
    if _current.draining:
        return ["shutting down"]
    # The heartbeat is written once a second, also without a generation.
    return ["the database cannot be written"] if _current.committer.seconds_since_commit > UNREADY_SECONDS else []


def degradations() -> list[str]:
    """Return what does not work although pages do."""
    return ["no model is connected"] if _current is None else _current.models.problems


def update_metrics() -> None:
    """Set the metrics of the current state: of this process's generations, and of the queue of all processes."""
    if _current:
        runs = list(_current.runs.values())
        metrics.RUNNING.set(len(runs))
        metrics.COMMIT_AGE.set(_current.committer.seconds_since_commit)
        metrics.WAITING_CHARACTERS.set(sum(run.uncommitted_characters for run in runs))
    try:
        metrics.QUEUED.set(Generation.objects.claimable().count())
    except Error:
        metrics.QUEUED.set(math.nan)


class GenerationWorker:
    """Claims and runs generations for its models from `start` to `drain`."""

    def __init__(self, models: OpenModels) -> None:
        self.models = models
        self.runs: dict[int, Run] = {}
        self.draining = False
        self.committer = Committer(self.runs)
        self._claiming: set[int] = set()
        self._has_backlog = False  # generations are waiting for this process to have capacity
        self._day: date | None = None  # when what is done once a day was last done
        self._suspects: set[int] = set()  # orphaned claims that the last sweep found
        self._sender = MirrorSender(self.runs)
        self._liveness = LivenessMonitor()
        self._unknown_models = UnknownModels()
        self._titles = Titles(models)
        self._subscriptions = ExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._process_lock = ProcessLock()

    async def start(self) -> None:
        """Register this worker, recover the orphans of earlier processes if they must be dead, and start its loops."""
        # These are 0 until they occur: Prometheus does not see the increase of a series that begins with 1.
        for cause in ("InternalError", *failures()):
            metrics.ENDED.labels(Status.FAILED, cause)
        await self.committer.register()
        if self._process_lock.acquire():
            others = await run_in_thread(_read_beats, self._id)
            await self._recover_orphans(list(others), recovery.SERVER_RESTARTED)
        self._subscriptions.enter_context(subscribe(Topic.GENERATION_QUEUED, self._queued))
        self._subscriptions.enter_context(subscribe(Topic.STOP_REQUESTED, self._stop_requested))
        global _current
        _current = self
        self._loops = [
            supervisor.start("commit", self.committer.run()),
            supervisor.start("watch commits", self.committer.watch()),
            supervisor.start("sweep and claim", self._sweep_loop()),
            supervisor.start("mirror", self._sender.run()),
        ]

    async def drain(self, seconds: float) -> None:
        """Stop claiming, give running generations `seconds` to finish, interrupt the others, and stop."""
        self.draining = True
        await self._titles.cancel()
        if running := set(self._tasks):
            logger.info("draining: %s generations have %.0f s to finish", len(self.runs), seconds)
            await asyncio.wait(running, timeout=seconds)
        for run in list(self.runs.values()):
            run.interrupt(recovery.SERVER_RESTARTED)
        if running := set(self._tasks):
            await asyncio.wait(running, timeout=WRITE_SECONDS)
        self._subscriptions.close()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        try:
            async with asyncio.timeout(SIGN_OFF_SECONDS):
                await run_in_thread(Worker.objects.filter(pk=self._id).delete)
        except (Error, TimeoutError) as error:
            logger.warning("worker not signed off, others will declare it dead: %s", type(error).__name__)
        self._process_lock.release()

    @property
    def _id(self) -> int:
        return self.committer.worker_id

    # Claiming

    @property
    def _capacity(self) -> int:
        capacity: int = settings.GENERATION_CONCURRENCY
        return capacity - len(self.runs) - len(self._claiming)

    def _queued(self, subject: str) -> None:
        if self._has_backlog:
            self._wake.set()  # those go first
        else:
            self._claim(int(subject))

    def _stop_requested(self, subject: str) -> None:
        if run := self.runs.get(int(subject)):
            run.stop()

    def _claim(self, generation_id: int) -> None:
        """Claim and run a generation if there is capacity, unless that has started already."""
        if self.draining or not self.models.by_id or generation_id in self.runs or generation_id in self._claiming:
            return
        if self._capacity > 0:
            self._claiming.add(generation_id)
            self._spawn(self._claim_and_run(generation_id))
        else:
            self._has_backlog = True

    async def _claim_and_run(self, generation_id: int) -> None:
        began = time.time_ns()
        try:
            claimed = await run_in_thread(commit.claim, self._id, generation_id)
            if claimed is None or (model := self.models.find(claimed.model)) is None:
                return
            run = self.runs[generation_id] = Run(claimed, lambda: self._id, model)
        except Error as error:
            if is_outage(error):
                logger.warning("claim failed, the next sweep retries: %s", describe(error))
            else:
                logger.error("generation %s cannot be claimed: %s", generation_id, describe(error))
                _publish_changes(await run_in_thread(recovery.reject, generation_id))
            return
        finally:
            self._claiming.discard(generation_id)
        bind_log_context(generation=generation_id, conversation=claimed.conversation_id)
        publish(Topic.GENERATION_CLAIMED, generation_id)
        try:
            with generation_span(claimed, began, model.model.id) as run.span:
                await run.run()
        finally:
            if self.runs.get(generation_id) is run:
                del self.runs[generation_id]
            self._wake.set()  # a slot is free, and this conversation's next prompt may be waiting
            publish(Topic.LIST_CHANGED, claimed.owner_id, claimed.conversation_id)
        if not self.draining:
            self._titles.begin(claimed, model.model)
        await self._sender.send_end(run.live)

    # Loops

    async def _sweep_loop(self) -> None:
        swept_at = 0.0
        while True:
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass  # time for the next sweep
            self._wake.clear()
            if self.draining:
                continue
            try:
                if time.monotonic() - swept_at >= SWEEP_SECONDS:
                    swept_at = time.monotonic()
                    await self._sweep()
                await self._claim_pending()
            except Error as error:
                if not is_outage(error):
                    raise
                logger.warning("sweep failed, retrying: %s", describe(error))

    async def _sweep(self) -> None:
        """Recover orphans, release orphaned claims, stop what deactivated people queued, and show why others wait.

        On the first sweep of a day, also make yesterday's usage of deleted accounts anonymous.
        """
        self._process_lock.share()
        if self._day != (today := site_day()):
            await run_in_thread(forget_deleted_accounts)
            self._day = today
        beats = await run_in_thread(_read_beats, self._id)
        await self._recover_orphans(self._liveness.dead_workers(beats))
        await self._release_orphaned_claims()
        await run_in_thread(recovery.stop_queued_of_deactivated)
        _publish_changes(await self._unknown_models.check())
        if texts := queued_texts():
            positions = await run_in_thread(Generation.objects.queue_positions)
            notices = await run_in_thread(waiting_notices, [text.generation_id for text in texts])
            for text in texts:
                if text.status == Status.QUEUED:
                    pk = text.generation_id
                    text.update(queue_position=positions.get(pk, 0), notice=notices.get(pk, ""))

    async def _claim_pending(self) -> None:
        """Claim queued generations, in queue order, up to this process's capacity."""
        if self._capacity > 0:
            self._has_backlog = False
            for generation_id in await run_in_thread(_claimable, self._capacity + 1):
                self._claim(generation_id)

    async def _recover_orphans(self, dead: list[int], cause: str = recovery.SERVER_NOT_RESPONDING) -> None:
        _publish_changes(await run_in_thread(recovery.recover_orphans, dead, cause))

    async def _release_orphaned_claims(self) -> None:
        """Release orphaned claims that two sweeps have found: one sweep may see a claim before its response arrives."""
        found = await run_in_thread(recovery.orphaned_claims, self._id, [*self.runs, *self._claiming])
        orphaned = {pk: claim for pk, claim in found.items() if pk not in self.runs and pk not in self._claiming}
        for pk in orphaned.keys() & self._suspects:
            logger.warning("orphaned claim of generation %s released", pk)
            await run_in_thread(recovery.release, self._id, orphaned[pk], recovery.DATABASE_UNAVAILABLE)
        self._suspects = set(orphaned)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # An event may arrive in a request's context, which a generation must not inherit.
        task = asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a task of the worker failed", exc_info=error)


def _publish_changes(changed: Iterable[recovery.Ids]) -> None:
    for owner_id, conversation_id in changed:
        publish(Topic.CONVERSATION_CHANGED, conversation_id)
        publish(Topic.LIST_CHANGED, owner_id, conversation_id)


def _read_beats(own_id: int) -> dict[int, int]:
    """Return the heartbeats of the other workers by id."""
    return dict(Worker.objects.exclude(pk=own_id).values_list("pk", "beat"))


def _claimable(number: int) -> list[int]:
    # Usually nothing is queued, and this costs a fraction of the second query.
    if not Generation.objects.filter(status=Status.QUEUED).exists():
        return []
    return list(Generation.objects.claimable().values_list("pk", flat=True)[:number])
