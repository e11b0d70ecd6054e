"""Write the text of running generations once a second, with the heartbeat of their worker."""

import asyncio
import logging
import time
from collections.abc import Mapping

from chatsite.outages import describe, is_outage
from conversations.generation import commit, recovery
from conversations.generation.commit import Progress, Stop
from conversations.generation.live import Source
from conversations.generation.runner import Run
from conversations.generation.trace import note_commit
from conversations.models import Worker
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0  # between commits
# If the last commit is longer ago, or more text than this is not committed, all running generations are interrupted.
MAX_SECONDS_SINCE_COMMIT = 120.0
MAX_UNCOMMITTED_CHARACTERS = 8_000_000
UNSTORED_SECONDS = 3.0  # after the last commit, viewers are shown that text is not stored


class Committer:
    """Commits the text of `runs`. `worker_id` changes when this worker was declared dead and registers again."""

    def __init__(self, runs: Mapping[int, Run]) -> None:
        self.worker_id = 0
        self.seconds_since_commit = 0.0
        self._runs = runs

    async def register(self) -> None:
        self.worker_id = await run_in_thread(lambda: Worker.objects.create(reads_files=True).pk)

    async def run(self) -> None:
        """Commit once a second, until cancelled. Raises whatever is not an outage of the database."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + COMMIT_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                await self.commit()
            except Exception as error:
                if not is_outage(error):
                    raise
                logger.warning("commit failed, retrying: %s", describe(error))

    async def commit(self) -> None:
        """Write the progress of all runs with the heartbeat, and resume the runs that were taken for orphans."""
        writing = [run for run in self._runs.values() if not run.is_lost and not run.is_ending]
        taken = {run.claim.generation_id: (run, run.take_progress()) for run in writing}
        began = time.time_ns()
        try:
            stops = await self._write_progress(taken)
        except Exception:  # of any kind: the text is written later, or this process ends
            for run, progress in taken.values():
                run.restore_progress(progress)
            raise
        self.seconds_since_commit = 0.0
        for generation_id, (run, progress) in taken.items():
            if generation_id in stops:
                run.mark_committed(progress)
                note_commit(run.span, began, progress)
                if (stop := stops[generation_id]) is not None:
                    run.stop(stop)
            else:
                run.restore_progress(progress)
                if not run.is_ending:
                    run.is_lost = True
        for run in [run for run in self._runs.values() if run.is_lost]:
            try:
                await run.resume()
            except Worker.DoesNotExist:
                break  # the next commit registers this worker again

    async def _write_progress(self, taken: dict[int, tuple[Run, Progress]]) -> dict[int, Stop | None]:
        """Return whether and why the generations that this worker still owns must stop, like `commit.commit`."""
        try:
            progress = [progress for _, progress in taken.values()]
            stops = await run_in_thread(commit.commit, self.worker_id, progress)
        except Exception as error:
            if is_outage(error) or not taken:
                raise
            logger.error("commit failed: %s", describe(error))
            stops = await self._write_one_by_one(taken)
        if stops is None:
            await self.register()
            logger.warning("this worker was declared dead and has registered again as worker %s", self.worker_id)
        return stops or {}

    async def _write_one_by_one(self, taken: dict[int, tuple[Run, Progress]]) -> dict[int, Stop | None] | None:
        """Write what can be written, so that what cannot be does not concern the other generations, and end that."""
        stops: dict[int, Stop | None] = {}
        for generation_id, (run, progress) in taken.items():
            try:
                written = await run_in_thread(commit.commit, self.worker_id, [progress])
            except Exception as error:
                if is_outage(error):
                    raise
                logger.error("text of generation %s not stored: %s", generation_id, describe(error))
                run.fail()
                continue
            if written is None:
                return None
            stops |= written
        return stops

    async def watch(self) -> None:
        """Count the seconds since the last commit, until cancelled."""
        # A loop of its own, because a commit hangs when the database does. Seconds are counted, not measured: time in
        # which this process was suspended says nothing about the database.
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            self.seconds_since_commit += COMMIT_SECONDS
            self.check_uncommitted()

    def check_uncommitted(self) -> None:
        """Show viewers whether text is stored. If too much is not, or for too long, interrupt all generations."""
        source = Source.UNSTORED if self.seconds_since_commit > UNSTORED_SECONDS else Source.LIVE
        for run in self._runs.values():
            run.live.update(source=source)
        characters = sum(run.uncommitted_characters for run in self._runs.values())
        if self.seconds_since_commit > MAX_SECONDS_SINCE_COMMIT or characters > MAX_UNCOMMITTED_CHARACTERS:
            for run in self._runs.values():
                run.interrupt(recovery.DATABASE_UNAVAILABLE)
