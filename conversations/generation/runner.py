"""Run one claimed generation until it has an outcome."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from chatsite import metrics, tracing
from chatsite.outages import describe, is_outage
from conversations.events import Topic, publish
from conversations.generation import recovery
from conversations.generation.commit import Claim, Progress, Result, Stop, fail, finish
from conversations.generation.history import read_images, read_prompt
from conversations.generation.live import Source, gather_seconds, live_text
from conversations.generation.repetition import RepetitionDetector
from conversations.inference.allowance import OutputLimit, output_limit, usage_at_end
from conversations.inference.chunks import Usage
from conversations.inference.continuation import OverlapTrimmer
from conversations.inference.deltas import Delta, DeltaTotals, merge
from conversations.inference.endpoint import OpenModel
from conversations.inference.errors import InferenceError, notice
from conversations.inference.request_log import stored_request
from conversations.inference.stream import Outcome, stream
from conversations.models import Generation, Kind, Status, Worker
from conversations.rendering import outcomes
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # between attempts to write a result while the database is unavailable
# The longest answer, with its reasoning: more than any model writes at a time. A continuation may be as long again.
MAX_CHARACTERS = 2_000_000
TOO_LONG = f"The answer reached this site's limit of {MAX_CHARACTERS:,} characters."
MAX_SECONDS = 2 * 60 * 60.0  # from the claim to the end
TOO_SLOW = "The answer reached this site's limit of two hours."
INTERNAL_ERROR = "Something went wrong on this site."


class Run:
    """A claimed generation: its live text, its uncommitted text, and the task that streams it."""

    def __init__(self, claimed: Claim, worker_id: Callable[[], int], opened: OpenModel) -> None:
        self.claim = claimed
        self.live = live_text(claimed.generation_id, claimed.message_id)
        self.uncommitted_characters = 0  # including those of a commit that is in progress
        self.is_ending = False  # its result is being written
        self.is_lost = False  # another worker may have recovered it
        self.span: tracing.Span | None = None
        self._worker_id = worker_id
        self._model = opened
        self._uncommitted: list[Delta] = []
        self._failed_chunks: list[tuple[Kind, str]] = []  # of commits that failed
        self._sequence = 0  # of the next chunk
        self._relabels = False
        self._times: list[tuple[int, float]] = []  # see `outlines.Times`
        self._fields: dict[str, object] = {"model": opened.model.id}
        self._taken_fields: dict[str, object] = {}  # of the commit that is in progress
        self._prompt_tokens = 0  # about how many; 0 until the request is sent
        self._output_limit: OutputLimit | None = None
        self._totals = DeltaTotals[datetime]()
        self._repetition = RepetitionDetector()
        self._streaming: asyncio.Task[Outcome] | None = None
        self._cancelled_as: Status | None = None
        self._stopped = False
        self._is_unwritable = False  # the database does not accept its text
        self._requeue_cause = recovery.DATABASE_UNAVAILABLE
        self._resumption: asyncio.Future[bool] | None = None  # awaited while the result is refused
        self._notice = ""
        self._cause = ""  # label of the metric
        self._started = time.monotonic()

    async def run(self) -> None:
        """Stream the answer and write the result. In any case, the generation ends with one outcome or is requeued."""
        self.live.is_fed = self.live.has_runner = True
        self.live.start(self.claim.attempt)
        self.live.update(source=Source.LIVE)
        loop = asyncio.get_running_loop()
        self._streaming = loop.create_task(self._stream())
        if self._cancelled_as is not None:
            self._streaming.cancel()
        timer = loop.call_later(MAX_SECONDS, self._reach_limit, Status.INTERRUPTED, TOO_SLOW)
        try:
            outcome = await self._streaming
            self._model.note_end(outcome.failure)
            result = self._result(outcome.status, self._error(outcome), outcome.finish_reason, outcome.usage)
        except asyncio.CancelledError:
            if self._cancelled_as is None:
                raise
            if self._cancelled_as == Status.QUEUED:
                await self._requeue()
                return
            result = self._result(self._cancelled_as, self._notice)
        except Generation.DoesNotExist:
            self.live.end()  # deleted after the claim
            return
        except InferenceError as failure:
            self._model.note_end(failure)
            result = self._result(failure.status, self._describe(failure))
        except Exception as error:
            if is_outage(error):
                await self._requeue()  # the prompt could not be read
                return
            # Any bug must end the generation, or its conversation would be blocked.
            logger.exception("generation %s failed", self.claim.generation_id)
            self._cause = "InternalError"
            result = self._result(Status.FAILED, notice(INTERNAL_ERROR, "Try again.", has_text=self._has_text))
        finally:
            timer.cancel()
            self._streaming = None  # it refers to its exception, and that to this run
        await self._finish(result)

    @property
    def _has_text(self) -> bool:
        return bool(len(self.live.reasoning) + len(self.live.answer))

    def stop(self, reason: Stop = Stop.REQUESTED) -> None:
        """End as stopped, with the text so far."""
        self._stopped = True  # also where it waits to be requeued
        self._end_as(Status.STOPPED, reason)

    def interrupt(self, cause: str) -> None:
        """End as interrupted because of `cause`, a clause; or requeue the generation if it has no text."""
        if not self._has_text:
            self._requeue_cause = cause
            self._cancel(Status.QUEUED)
        elif self._cancelled_as is None:
            self.live.update(notice=recovery.interruption_notice(cause, self.live.characters, "are being saved"))
            self._end_as(Status.INTERRUPTED, recovery.interruption_notice(cause, self.live.characters))

    def fail(self) -> None:
        """End as failed, because its text cannot be stored."""
        self.is_ending = self._is_unwritable = True
        self._cause = "InternalError"
        self._cancel(Status.FAILED)

    async def resume(self) -> None:
        """Take back this generation, which another worker seems to have recovered, with all text; or abandon it.

        Called while nothing else writes for this run. Raises outages, and `Worker.DoesNotExist` if this worker was
        declared dead too.
        """
        progress = self.take_progress()
        live, text = self.live, (str(self.live.reasoning), str(self.live.answer))
        started_at = timezone.now() - timedelta(seconds=time.monotonic() - self._started)
        try:
            resumed = await run_in_thread(
                recovery.resume, self._worker_id(), self.claim, live.status, started_at, live.earlier_text, text
            )
            if not resumed and self.uncommitted_characters:
                await run_in_thread(recovery.note_lost_text, self.claim, self.uncommitted_characters)
                self.uncommitted_characters = 0
        except Exception as error:
            self.restore_progress(progress)
            if is_outage(error) or isinstance(error, Worker.DoesNotExist):
                raise
            logger.error("generation %s not resumed: %s", self.claim.generation_id, describe(error))
            resumed = False
        if resumed:
            logger.info("generation %s resumed", self.claim.generation_id)
            self.is_lost = False
            self.mark_committed(progress)
            self._sequence = len(recovery.chunks(text))
            self._fields = progress.fields | self._fields
        else:
            logger.warning("generation %s is owned by another worker, abandoned", self.claim.generation_id)
            if self._streaming:
                self._streaming.cancel()
            self.live.end()
        publish(Topic.CONVERSATION_CHANGED, self.claim.conversation_id)
        publish(Topic.LIST_CHANGED, self.claim.owner_id, self.claim.conversation_id)
        if self._resumption and not self._resumption.done():
            self._resumption.set_result(resumed)

    def take_progress(self) -> Progress:
        """Return what is not committed. Pass it to `mark_committed` or, if the commit fails, to `restore_progress`."""
        uncommitted = merge(self._uncommitted)
        if uncommitted and uncommitted[0].relabels:
            self._relabels = True
            self._failed_chunks = [(Kind.REASONING, text) for _, text in self._failed_chunks]
        chunks = [*self._failed_chunks, *((delta.kind, delta.text) for delta in uncommitted if delta.text)]
        progress = Progress(
            self.claim.generation_id, self.claim.attempt, self._sequence, chunks, self._relabels, self._fields
        )
        self._sequence += len(chunks)
        self._note_time()
        self._taken_fields = self._fields
        self._failed_chunks, self._uncommitted, self._relabels, self._fields = [], [], False, {}
        return progress

    def _note_time(self) -> None:
        point = self.live.thought_so_far
        if [characters for characters, _ in self._times[-2:]] == [point[0]] * 2:
            self._times.pop()  # of a time without text, the beginning and the end matter
        self._times.append(point)

    def mark_committed(self, progress: Progress) -> None:
        self._taken_fields = {}
        self.uncommitted_characters -= sum(len(text) for _, text in progress.chunks)

    def restore_progress(self, progress: Progress) -> None:
        # Unchanged: if the database did commit them, the same chunks are ignored the next time.
        self._sequence, self._failed_chunks = progress.sequence, list(progress.chunks)
        self._relabels |= progress.relabels
        self._fields = progress.fields | self._fields

    def _reach_limit(self, status: Status, limit: str) -> None:
        advice = "Continue for the rest, or try again." if self.live.answer.pieces else "Try again."
        self._end_as(status, notice(limit, advice, has_text=self._has_text))

    def _end_as(self, status: Status, sentence: str) -> None:
        if self._cancelled_as is None:
            self._notice = sentence
            self._cancel(status)

    def _cancel(self, status: Status) -> None:
        if self._cancelled_as is None:
            self._cancelled_as = status
            if self._streaming:
                self._streaming.cancel()

    async def _stream(self) -> Outcome:
        generation, prompt, last = await run_in_thread(read_prompt, self.claim, self._model.model)
        self._output_limit = await run_in_thread(output_limit, generation, prompt.tokens)
        await read_images(prompt)
        self._fields["context_start"] = prompt.context_start
        self.live.update(activity=outcomes.activity(generation))
        trimmer = None
        if generation.is_continuation:
            self.live.continue_from(last)
            trimmer = None if self._model.completes_prefixes else OverlapTrimmer(last.content, self.feed)
        self._note_time()
        request = self._model.request(
            prompt.messages,
            depth=generation.depth or "",
            thinking=False if generation.without_thinking else None,
            continuing=generation.is_continuation,
            output_tokens=self._output_limit.tokens if self._output_limit else None,
        )
        self._prompt_tokens = self._fields["prompt_estimate"] = prompt.tokens
        self._fields["request"] = stored_request(request, prompt)

        def amend(request: dict[str, Any], error: InferenceError) -> dict[str, Any] | None:
            may_think = generation.depth in self._model.model.depths and not generation.is_continuation
            may_think &= not generation.without_thinking
            if not (found := self._model.without_refused(request, error, may_think=may_think)):
                return None
            refused, amended = found
            self._fields["request"] = stored_request(amended, prompt, refused)
            return amended

        outcome = await stream(
            self._model.endpoint.create,
            request,
            trimmer or self.feed,
            stall_seconds=settings.STALL_SECONDS,
            gather_seconds=lambda: gather_seconds(self.live.tail_characters),
            amend=amend,
        )
        if trimmer:  # not if the stream was cut: what the trimmer holds back are repeated words
            trimmer.close()
        return outcome

    def feed(self, deltas: list[Delta]) -> None:
        first_at = dict(self._totals.first_at)
        self._totals.add(deltas, timezone.now())
        if self._totals.first_at != first_at:
            self._fields["first_thought_at"] = self._totals.first_at.get(Kind.REASONING)
            self._fields["first_answer_at"] = self._totals.first_at.get(Kind.ANSWER)
            for kind in self._totals.first_at.keys() - first_at.keys():
                tracing.add_event("first thought" if kind == Kind.REASONING else "first word")
            if not first_at:
                metrics.FIRST_DELTA.observe(time.monotonic() - self._started)
        if not self.live.repeats and self._repetition.is_found_in(deltas):
            self._fields["repetition_at"] = self._repetition.found_at
            self.live.update(repeats=True)
        self._uncommitted += deltas
        self.uncommitted_characters += sum(len(delta.text) for delta in deltas)
        before = self.live.status
        self.live.feed(deltas)
        if self.live.status != before:
            self._fields["status"] = self.live.status
        if sum(self._totals.characters.values()) > MAX_CHARACTERS:
            self._reach_limit(Status.LENGTH, TOO_LONG)

    def _error(self, outcome: Outcome) -> str:
        if outcome.status == Status.LENGTH and self._output_limit:
            return self._output_limit.notice
        return self._describe(outcome.failure) if outcome.failure else ""

    def _describe(self, failure: InferenceError) -> str:
        """Return the sentence for the page; note the rest for logs, metrics and staff."""
        if failure.status != Status.COMPLETE:
            self._cause = type(failure).__name__
            self._fields["endpoint_error"] = failure.report
            logger.warning("generation %s failed: %s: %s", self.claim.generation_id, self._cause, failure.report)
        return failure.notice(has_text=self._has_text)

    def _result(self, status: Status, error: str, finish_reason: str = "", usage: Usage | None = None) -> Result:
        self._note_time()
        reasoning, answer = str(self.live.reasoning), str(self.live.answer)
        used = usage_at_end(status, self._prompt_tokens, reasoning, answer, usage)
        return Result(status, reasoning, answer, error, finish_reason, used, self._times, self.live.steps)

    async def _finish(self, result: Result) -> None:
        self.is_ending = True
        while not await self._store(result):
            # It was recovered as an orphan; or the result is stored, and the response was lost.
            self.is_lost = True
            self._resumption = asyncio.get_running_loop().create_future()
            if not await self._resumption:
                return
        status = Status.FAILED if self._is_unwritable else result.status
        metrics.ENDED.labels(status, self._cause).inc()
        tracing.note_outcome(status, self._cause)
        metrics.DURATION.observe(time.monotonic() - self._started)
        self.live.end()

    async def _store(self, result: Result) -> bool:
        """Write the result, or as much of it as the database accepts; False if this worker does not own the row."""
        if not self._is_unwritable:
            try:
                return await self._write(finish, result, self._taken_fields | self._fields)
            except Exception as error:  # noqa: BLE001  (text that cannot be encoded is not a DatabaseError)
                logger.error("result of generation %s not stored: %s", self.claim.generation_id, describe(error))
                self._is_unwritable, self._cause = True, "InternalError"
        return await self._write(fail, result)

    async def _requeue(self) -> None:
        self.is_ending = True
        await self._write(lambda worker, claim: recovery.release(worker, claim, self._requeue_cause, self._stopped))
        self.live.end()

    async def _write(self, write: Callable[..., bool], *arguments: object) -> bool:
        """Call `write`, again and again during an outage of the database; False if another worker owns the row."""
        while True:
            try:
                with tracing.span("end"):
                    return await run_in_thread(write, self._worker_id(), self.claim, *arguments)
            except Exception as error:
                if not is_outage(error):
                    raise
                logger.warning("generation %s not written, retrying: %s", self.claim.generation_id, describe(error))
                await asyncio.sleep(RETRY_SECONDS)
