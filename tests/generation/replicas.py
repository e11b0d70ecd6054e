"""Replicas of a site in one process, which a test drives step by step: real workers and runs, without an endpoint."""

import asyncio
from typing import Any

from django.db import OperationalError

from conversations.generation import runner, worker
from conversations.generation.history import read_prompt
from conversations.generation.live import LiveText
from conversations.inference.stream import Outcome
from conversations.threads import run_in_thread


class FedRun(runner.Run):
    """A run to which the rules give text and the outcome. Replicas in one process do not share its live text."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.live = LiveText(self.claim.generation_id, self.claim.message_id)
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.response_lost = False  # of the next write

    @property
    def streams(self) -> bool:
        return self._cancelled_as is None and not self.outcome.done() and not self.is_ending

    async def _write(self, write: Any, *arguments: Any) -> bool:
        def write_and_lose_the_response(*arguments: Any) -> bool:
            written = write(*arguments)
            if self.response_lost:
                self.response_lost = False
                raise OperationalError("no response")
            return written

        return await super()._write(write_and_lose_the_response, *arguments)

    async def _stream(self) -> Outcome:
        _, prompt, last = await run_in_thread(read_prompt, self.claim, self._model.model)
        self._prompt_tokens = prompt.tokens
        if last.pk == self.claim.message_id:
            self.live.continue_from(last)
        return await self.outcome


class Replica(worker.GenerationWorker):
    """A worker without loops: the rules decide when it commits and claims. While it is cut off, all writes fail."""

    is_cut_off = has_crashed = False

    @property
    def _id(self) -> int:
        if self.has_crashed:
            raise asyncio.CancelledError
        if self.is_cut_off:
            raise OperationalError("cut off")
        return self.committer.worker_id

    async def settle(self) -> None:
        """Wait until each run streams, has ended, or can only wait: for the database or for a commit."""
        while any(not self._waits(run) for run in self.runs.values()) or self._claiming:  # noqa: ASYNC110
            await asyncio.sleep(0.0005)

    def _waits(self, run: FedRun) -> bool:
        return self.is_cut_off or run.is_lost or run.streams

    async def commit(self) -> None:
        await self.committer.commit()
        await self.settle()

    async def claim(self) -> None:
        await self._claim_pending()
        await self.settle()

    async def stop(self) -> None:
        self._loops = [asyncio.create_task(self.committer.run())]
        await self.drain(0)

    async def crash(self) -> None:
        self.has_crashed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
