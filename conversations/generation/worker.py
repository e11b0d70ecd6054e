"""The worker of a serving process: claims generations, commits them once a second, sweeps, drains."""

import asyncio
import contextvars
import fcntl
import logging
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import DatabaseError, connection

from chatsite import metrics
from chatsite.logs import bind_log_context
from conversations.events import Subscription, Topic, publish, subscribe
from conversations.generation import commit, live
from conversations.generation.live import Source
from conversations.generation.mirror import Senders
from conversations.generation.runner import Run
from conversations.inference.endpoint import Endpoint
from conversations.models import Generation, Status, Worker
from conversations.threads import in_thread

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
# How long, and how much, text waits for a database that is away; then what runs is interrupted.
AWAY_SECONDS = 120.0
MOST_WAITING_CHARACTERS = 8_000_000
UNSTORED_SECONDS = 3.0  # then viewers are told
# After a drain's own time: for what was interrupted to be written, and for the worker to sign off.
WRITE_SECONDS = 3.0
SIGN_OFF_SECONDS = 1.0


_current: "GenerationWorker | None" = None


def current() -> "GenerationWorker | None":
    """Return this process's worker; None where nothing serves, or no model is connected."""
    return _current


def readiness_problems() -> list[str]:
    """Return the reasons why this process should get no requests; none if it is ready."""
    if _current is None:
        return ["no model is connected"]
    return ["shutting down"] if _current.draining else []


def update_metrics() -> None:
    """Set the metrics of the current state: of this process's generations, and of the queue of all processes."""
    if _current:
        _current.measure()
    try:
        metrics.QUEUED.set(Generation.objects.filter(status=Status.QUEUED).count())
    except DatabaseError:
        metrics.QUEUED.set("nan")


class GenerationWorker:
    """Runs what this process claims, until `drain`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.runs: dict[int, Run] = {}
        self.draining = False
        self._id = 0
        self._claiming: set[int] = set()
        self._line = False  # whether some wait for a place in this process
        self._senders = Senders(self.runs)
        self._subscriptions: list[Subscription] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._away = 0.0  # seconds since the last commit
        self._unowned: set[int] = set()
        self._beats: dict[int, int] = {}
        self._quiet: dict[int, float] = {}
        self._observed = 0.0
        self._lock: IO[str] | None = None

    async def start(self) -> None:
        """Register, settle what a process before this one left behind, and begin."""
        self._id = await in_thread(self._register)
        if self._is_alone():
            await self._settle(await in_thread(self._others))
        self._subscriptions = [
            subscribe(Topic.GENERATION_QUEUED, self._queued),
            subscribe(Topic.STOP_REQUESTED, self._stop),
        ]
        self._senders.start()
        global _current
        _current = self
        loops = (self._commit_loop(), self._watch_database(), self._sweep_loop(), self._senders.run())
        self._loops = [self._spawn(loop) for loop in loops]

    async def drain(self, seconds: float) -> None:
        """Claim nothing more, give what runs `seconds` to end, write down the rest honestly, and sign off."""
        self.draining = True
        if running := self._running():
            logger.info("draining: %s generations have %.0f s to end", len(self.runs), seconds)
            await asyncio.wait(running, timeout=seconds)
        for run in list(self.runs.values()):
            run.interrupt(commit.RESTARTED)
        if running := self._running():
            await asyncio.wait(running, timeout=WRITE_SECONDS)
        for subscription in self._subscriptions:
            subscription.close()
        self._senders.close()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        try:
            async with asyncio.timeout(SIGN_OFF_SECONDS):
                await in_thread(Worker.objects.filter(pk=self._id).delete)
        except (DatabaseError, TimeoutError) as error:
            logger.warning("this worker could not sign off, others will notice: %s", type(error).__name__)
        if self._lock:
            self._lock.close()

    def _running(self) -> list[asyncio.Task[None]]:
        return [task for task in self._tasks if task not in self._loops]

    # Claiming

    @property
    def _free(self) -> int:
        return settings.GENERATION_CONCURRENCY - len(self.runs) - len(self._claiming)

    def _queued(self, subject: str) -> None:
        if self._line:
            self._wake.set()  # others were here first
        else:
            self._claim(int(subject))

    def _stop(self, subject: str) -> None:
        if run := self.runs.get(int(subject)):
            run.stop()

    def _claim(self, generation_id: int) -> None:
        """Claim a generation and run it, if there is room and it is not being claimed already."""
        if self.draining or generation_id in self.runs or generation_id in self._claiming:
            return
        if self._free > 0:
            self._claiming.add(generation_id)
            self._spawn(self._claim_and_run(generation_id))
        else:
            self._line = True

    async def _claim_and_run(self, generation_id: int) -> None:
        try:
            claimed = await in_thread(commit.claim, self._id, generation_id)
            if claimed is None:
                return
            run = self.runs[generation_id] = Run(claimed, lambda: self._id, self.endpoint)
        except DatabaseError as error:
            logger.warning("could not claim a generation, the sweep will: %s", type(error).__name__)
            return
        finally:
            self._claiming.discard(generation_id)
        bind_log_context(generation=generation_id, conversation=claimed.conversation_id)
        publish(Topic.GENERATION_CLAIMED, generation_id)
        try:
            await run.run()
        finally:
            if self.runs.get(generation_id) is run:
                del self.runs[generation_id]
            self._wake.set()  # a slot is free, and perhaps the next prompt of this conversation waits
            publish(Topic.LIST_CHANGED, claimed.owner_id, claimed.conversation_id)
        await self._senders.say_ended(run.live)

    def measure(self) -> None:
        """Set the metrics that tell how things stand now."""
        metrics.RUNNING.set(len(self.runs))
        metrics.COMMIT_AGE.set(self._away)
        metrics.WAITING_CHARACTERS.set(sum(run.waiting_characters for run in list(self.runs.values())))

    # Once a second

    async def _commit_loop(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + BEAT_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())
            taken = {run.claim.generation_id: (run, run.take_progress()) for run in list(self.runs.values())}
            try:
                held = await in_thread(commit.commit, self._id, [progress for _, progress in taken.values()])
                if held is None:
                    logger.warning("this worker was taken for dead; it begins anew")
                    self._id = await in_thread(self._register)
                    held = {}
            except DatabaseError as error:
                logger.warning("text waits for the database: %s", type(error).__name__)
                for run, progress in taken.values():
                    run.keep_progress(progress)
                continue
            self._away = 0.0
            for generation_id, (run, progress) in taken.items():
                if generation_id not in held:
                    if self.runs.get(generation_id) is run:
                        run.drop()
                    continue
                run.note_stored(progress)
                if held[generation_id]:
                    run.stop()

    async def _watch_database(self) -> None:
        """Tell viewers while text is not stored, and end what runs when too much waits or has waited for too long.

        Beside the commits, which hang when the database does.
        """
        while True:
            # Counted, not measured: time in which this process stood still is not the database's.
            await asyncio.sleep(BEAT_SECONDS)
            self._away += BEAT_SECONDS
            source = Source.UNSTORED if self._away > UNSTORED_SECONDS else Source.LIVE
            for run in self.runs.values():
                run.live.update(source=source)
            waiting = sum(run.waiting_characters for run in self.runs.values())
            if self._away > AWAY_SECONDS or waiting > MOST_WAITING_CHARACTERS:
                for run in self.runs.values():
                    run.interrupt(commit.DATABASE_AWAY)

    async def _sweep_loop(self) -> None:
        tended = 0.0
        while True:
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass  # nobody woke us: the second is over
            self._wake.clear()
            if self.draining:
                continue
            try:
                if time.monotonic() - tended >= BEAT_SECONDS:
                    tended = time.monotonic()
                    await self._tend()
                await self._fill()
            except DatabaseError as error:
                logger.warning("the sweep waits for the database: %s", type(error).__name__)

    async def _tend(self) -> None:
        """Settle what dead workers left, take up what we lost sight of, tell those who wait their place."""
        await self._settle(self._dead(await in_thread(self._read_beats)))
        await self._release_unowned()
        if waiting := live.waiting():
            places = await in_thread(Generation.objects.places)
            for text in waiting:
                text.update(queue_position=places.get(text.generation_id))

    async def _fill(self) -> None:
        """Claim what waits, in turn, as far as there is room."""
        if self._free > 0:
            self._line = False
            for generation_id in await in_thread(self._claimable, self._free + 1):
                self._claim(generation_id)

    async def _settle(self, dead: list[int]) -> None:
        for owner_id, conversation_id in await in_thread(commit.settle_orphans, dead):
            publish(Topic.CONVERSATION_CHANGED, conversation_id)
            publish(Topic.LIST_CHANGED, owner_id, conversation_id)

    async def _release_unowned(self) -> None:
        """Give back what we hold in the database and do not run, when seen twice: a claim may be on its way."""
        found = await in_thread(commit.unowned, self._id, [*self.runs, *self._claiming])
        lost = {pk: claim for pk, claim in found.items() if pk not in self.runs and pk not in self._claiming}
        for pk in lost.keys() & self._unowned:
            logger.warning("generation %s was claimed without our knowing; it goes back", pk)
            await in_thread(commit.release, self._id, lost[pk])
        self._unowned = set(lost)

    # Who lives

    def _register(self) -> int:
        return Worker.objects.create().pk

    def _others(self) -> list[int]:
        return list(Worker.objects.exclude(pk=self._id).values_list("pk", flat=True))

    def _read_beats(self) -> dict[int, int]:
        return dict(Worker.objects.exclude(pk=self._id).values_list("pk", "beat"))

    def _claimable(self, most: int) -> list[int]:
        # Nearly always nobody waits, and to ask that costs a fraction of asking who is next.
        if not Generation.objects.filter(status=Status.QUEUED).exists():
            return []
        return list(Generation.objects.claimable().values_list("pk", flat=True)[:most])

    def _dead(self, beats: dict[int, int]) -> list[int]:
        """Return the workers whose counter stood still for `settings.DEAD_SECONDS`; no clock but our own is read."""
        now = time.monotonic()
        # Time in which the database, or this process, stood still is nobody's silence.
        passed = min(now - self._observed, 2 * BEAT_SECONDS) if self._observed else 0.0
        self._observed = now
        self._quiet = {
            worker: self._quiet.get(worker, 0.0) + passed if self._beats.get(worker) == beat else 0.0
            for worker, beat in beats.items()
        }
        self._beats = beats
        return [worker for worker, seconds in self._quiet.items() if seconds >= settings.DEAD_SECONDS]

    def _is_alone(self) -> bool:
        """Tell whether no other process serves this SQLite file, by a lock that the system frees with its holder."""
        if connection.vendor != "sqlite":
            return False
        lock = Path(f"{settings.DATABASES['default']['NAME']}.lock").open("w")  # noqa: SIM115  (held for life)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # A ring may come in a request's context; a generation must outlive that request and inherit nothing from it.
        task = asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a task of the worker failed", exc_info=error)
