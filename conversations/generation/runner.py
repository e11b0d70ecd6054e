"""Run one claimed generation until it has an outcome."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from chatsite import metrics
from conversations.generation.commit import Claim, Progress, Result, Stop, finish, interruption_notice, release
from conversations.generation.live import Source, gather_seconds, live_text
from conversations.inference.chunks import Usage
from conversations.inference.continuation import OverlapTrimmer
from conversations.inference.deltas import Delta, DeltaTotals, merge
from conversations.inference.endpoint import Endpoint
from conversations.inference.errors import InferenceError, notice
from conversations.inference.prompt import Prompt, build_prompt
from conversations.inference.request_log import stored_request
from conversations.inference.stream import Outcome, stream
from conversations.models import Conversation, Generation, Kind, Message, Status
from conversations.models.prepared import prepared
from conversations.rendering import outcomes
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # between attempts to write a result while the database is unavailable
INTERNAL_ERROR = "Something went wrong on this site."


class Run:
    """A claimed generation: its live text, its uncommitted text, and the task that streams it."""

    def __init__(self, claimed: Claim, worker_id: Callable[[], int], endpoint: Endpoint) -> None:
        self.claim = claimed
        self.live = live_text(claimed.generation_id, claimed.message_id)
        self.uncommitted_characters = 0  # including those of a commit that is in progress
        self._worker_id = worker_id
        self._endpoint = endpoint
        self._uncommitted: list[Delta] = []
        self._failed_chunks: list[tuple[Kind, str]] = []  # of commits that failed
        self._sequence = 0  # of the next chunk
        self._relabels = False
        self._fields: dict[str, object] = {"model": endpoint.model}
        self._totals = DeltaTotals[datetime]()
        self._streaming: asyncio.Task[Outcome] | None = None
        self._cancelled_as: Status | None = None
        self._notice = ""
        self._cause = ""  # label of the metric
        self._started = time.monotonic()

    async def run(self) -> None:
        """Stream the answer and write the result. In any case, the generation ends with one outcome or is requeued."""
        self.live.is_fed = self.live.has_runner = True
        self.live.start(self.claim.attempt)
        self.live.update(source=Source.LIVE)
        self._streaming = asyncio.get_running_loop().create_task(self._stream())
        if self._cancelled_as is not None:
            self._streaming.cancel()
        try:
            outcome = await self._streaming
            error = self._describe(outcome.failure) if outcome.failure else ""
            self._endpoint.note_end(outcome.failure)
            result = self._result(outcome.status, error, outcome.finish_reason, outcome.usage)
        except asyncio.CancelledError:
            if self._cancelled_as is None:
                raise
            if self._cancelled_as == Status.QUEUED:
                await self._requeue()
                return
            result = self._result(self._cancelled_as, self._notice)
        except DatabaseError:
            await self._requeue()  # the prompt could not be read
            return
        except Generation.DoesNotExist:
            self.live.end()  # deleted after the claim
            return
        except InferenceError as failure:
            self._endpoint.note_end(failure)
            result = self._result(failure.status, self._describe(failure))
        except Exception:
            # Any bug must end the generation, or its conversation would be blocked.
            logger.exception("generation %s failed", self.claim.generation_id)
            self._cause = "InternalError"
            result = self._result(Status.FAILED, notice(INTERNAL_ERROR, "Try again.", has_text=self._has_text))
        await self._finish(result)

    @property
    def _has_text(self) -> bool:
        return bool(len(self.live.reasoning) + len(self.live.answer))

    def stop(self, reason: Stop = Stop.REQUESTED) -> None:
        """End as stopped, with the text so far."""
        if self._cancelled_as is None:
            self._notice = reason
            self._cancel(Status.STOPPED)

    def interrupt(self, cause: str) -> None:
        """End as interrupted because of `cause`, a clause; or requeue the generation if it has no text."""
        if not self._has_text:
            self._cancel(Status.QUEUED)
        elif self._cancelled_as is None:
            self._notice = interruption_notice(cause, self.live.characters)
            self.live.update(notice=self._notice)
            self._cancel(Status.INTERRUPTED)

    def abandon(self) -> None:
        """Stop without writing anything, because another worker owns the generation."""
        if self._streaming:
            self._streaming.cancel()
        self.live.end()

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
        self._failed_chunks, self._uncommitted, self._relabels, self._fields = [], [], False, {}
        return progress

    def mark_committed(self, progress: Progress) -> None:
        self.uncommitted_characters -= sum(len(text) for _, text in progress.chunks)

    def restore_progress(self, progress: Progress) -> None:
        # Unchanged: if the database did commit them, the same chunks are ignored the next time.
        self._sequence, self._failed_chunks = progress.sequence, list(progress.chunks)
        self._relabels |= progress.relabels
        self._fields = progress.fields | self._fields

    def _cancel(self, status: Status) -> None:
        if self._cancelled_as is None:
            self._cancelled_as = status
            if self._streaming:
                self._streaming.cancel()

    async def _stream(self) -> Outcome:
        generation, prompt, last = await run_in_thread(self._prompt)
        self._fields["context_start"] = prompt.context_start
        self.live.update(activity=outcomes.activity(generation))
        trimmer = None
        if generation.is_continuation:
            self.live.continue_from(last)
            trimmer = None if self._endpoint.completes_prefixes else OverlapTrimmer(last.content, self.feed)
        request = self._endpoint.request(
            prompt.messages,
            thinking=False if generation.without_thinking else None,
            continuing=generation.is_continuation,
        )
        self._fields["request"] = stored_request(request, prompt)

        def amend(request: dict[str, Any], error: InferenceError) -> dict[str, Any] | None:
            if not (found := self._endpoint.without_refused(request, error)):
                return None
            refused, amended = found
            self._fields["request"] = stored_request(amended, prompt, refused)
            return amended

        try:
            return await stream(
                self._endpoint.create,
                request,
                trimmer or self.feed,
                stall_seconds=settings.STALL_SECONDS,
                gather_seconds=lambda: gather_seconds(self.live.tail_characters),
                amend=amend,
            )
        finally:
            if trimmer:
                trimmer.close()

    def _prompt(self) -> tuple[Generation, Prompt, Message]:
        """Return the generation, its prompt, and the last message of that: a question, or the answer to continue."""
        found = _generation(self.claim.generation_id)
        if not found:
            raise Generation.DoesNotExist
        [generation] = found
        conversation = Conversation(self.claim.conversation_id)
        tree = conversation.tree()
        path = tree.path_to(generation.message_id)[: None if generation.is_continuation else -1]
        by_id = {message.pk: message for message in _without_reasoning(path)}
        history = [by_id[pk] for pk in path if pk in by_id]  # without messages that were deleted meanwhile
        if not history:
            raise Generation.DoesNotExist
        if generation.is_continuation:
            history[-1:] = conversation.read(tree, path[-1:])
        prompt = build_prompt(
            history,
            system=settings.SYSTEM_PROMPT,
            context_tokens=self._endpoint.context_tokens,
            output_tokens=settings.MAX_OUTPUT_TOKENS,
        )
        return generation, prompt, history[-1]

    def feed(self, deltas: list[Delta]) -> None:
        first_at = dict(self._totals.first_at)
        self._totals.add(deltas, timezone.now())
        if self._totals.first_at != first_at:
            self._fields["first_thought_at"] = self._totals.first_at.get(Kind.REASONING)
            self._fields["first_answer_at"] = self._totals.first_at.get(Kind.ANSWER)
            if not first_at:
                metrics.FIRST_DELTA.observe(time.monotonic() - self._started)
        self._uncommitted += deltas
        self.uncommitted_characters += sum(len(delta.text) for delta in deltas)
        before = self.live.status
        self.live.feed(deltas)
        if self.live.status != before:
            self._fields["status"] = self.live.status

    def _describe(self, failure: InferenceError) -> str:
        """Return the sentence for the page; note the rest for logs, metrics and staff."""
        if failure.status != Status.COMPLETE:
            self._cause = type(failure).__name__
            self._fields["endpoint_error"] = failure.report
            logger.warning("generation %s failed: %s: %s", self.claim.generation_id, self._cause, failure.report)
        return failure.notice(has_text=self._has_text)

    def _result(self, status: Status, error: str, finish_reason: str = "", usage: Usage | None = None) -> Result:
        reasoning, answer = str(self.live.reasoning), str(self.live.answer)
        return Result(status, reasoning, answer, error, finish_reason, usage or Usage())

    async def _finish(self, result: Result) -> None:
        if await self._write(finish, result, self._fields):
            metrics.ENDED.labels(result.status, self._cause).inc()
            metrics.DURATION.observe(time.monotonic() - self._started)
        else:
            logger.warning("generation %s is owned by another worker, result dropped", self.claim.generation_id)
        self.live.end()

    async def _requeue(self) -> None:
        await self._write(release)
        self.live.end()

    async def _write(self, write: Callable[..., bool], *arguments: object) -> bool:
        """Call `write`, again and again while the database is unavailable; False if another worker owns the row."""
        while True:
            try:
                return await run_in_thread(write, self._worker_id(), self.claim, *arguments)
            except DatabaseError as error:
                logger.warning(
                    "result of generation %s not written, retrying: %s", self.claim.generation_id, type(error).__name__
                )
                await asyncio.sleep(RETRY_SECONDS)


@prepared
def _generation(pk: Any) -> QuerySet[Any]:
    return Generation.objects.filter(pk=pk)


@prepared
def _without_reasoning(messages: Any) -> QuerySet[Any]:
    return Message.objects.filter(pk__in=messages).defer("reasoning")
