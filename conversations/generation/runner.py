"""One generation: from its claim to its end."""

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
from conversations.generation.commit import Claim, End, Progress, finish, interrupted, release
from conversations.generation.live import Source, live_text, tick_seconds
from conversations.inference.continuation import OverlapTrimmer
from conversations.inference.deltas import Delta, DeltaTotals, merge
from conversations.inference.endpoint import Endpoint
from conversations.inference.errors import Filtered, InferenceError
from conversations.inference.prompt import Prompt, build_prompt
from conversations.inference.request_log import stored_request
from conversations.inference.stream import Outcome, stream
from conversations.models import Conversation, Generation, Kind, Message, Status
from conversations.models.prepared import prepared
from conversations.rendering import outcomes
from conversations.threads import in_thread

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # while the database is away the end of a generation waits for it, as long as the process lives


class Run:
    """A claimed generation: its live text, what is not committed yet, and the task that streams it."""

    def __init__(self, claimed: Claim, worker_id: Callable[[], int], endpoint: Endpoint) -> None:
        self.claim = claimed
        self.live = live_text(claimed.generation_id, claimed.message_id)
        self._worker_id = worker_id
        self._endpoint = endpoint
        self._kept: list[tuple[Kind, str]] = []  # of a commit that failed
        self._uncommitted: list[Delta] = []
        self.waiting_characters = 0  # of what is not known to be stored, also while a commit of it hangs
        self._sequence = 0
        self._relabelled = False
        self._fields: dict[str, object] = {"model": endpoint.model}
        self._totals = DeltaTotals[datetime]()
        self._streaming: asyncio.Task[Outcome] | None = None
        self._ending: str | None = None
        self._reason = ""
        self._cause = ""
        self._begun = time.monotonic()

    async def run(self) -> None:
        """Stream to the end and write it down. Whatever happens, it gets exactly one outcome or goes back."""
        self.live.is_fed = self.live.has_runner = True
        self.live.begin(self.claim.attempt)
        self.live.update(source=Source.LIVE)
        self._streaming = asyncio.get_running_loop().create_task(self._stream())
        if self._ending is not None:
            self._streaming.cancel()
        try:
            end = self._outcome(await self._streaming)
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            if self._ending == Status.QUEUED:
                await self._give_back()
                return
            end = self._end(self._ending, self._reason)
        except DatabaseError:
            await self._give_back()  # it went away before the prompt was read
            return
        except Generation.DoesNotExist:
            self.live.end()  # deleted between the claim and now: there is nothing to answer, and nothing to write
            return
        except InferenceError as error:
            logger.warning("generation %s failed: %s: %s", self.claim.generation_id, type(error).__name__, error.detail)
            self._cause = type(error).__name__
            end = self._end(Status.FILTERED if isinstance(error, Filtered) else Status.FAILED, error.sentence)
        except Exception:
            # A fault of ours. The person hears that it was, the log gets the traceback, the row does not stay open.
            logger.exception("generation %s failed", self.claim.generation_id)
            self._cause = "OurFault"
            end = self._end(
                Status.FAILED, "Something went wrong on this site. Your question has been saved. Try again."
            )
        await self._finish(end)

    def stop(self) -> None:
        """End as stopped, keeping what was said."""
        self._cancel(Status.STOPPED)

    def interrupt(self, cause: str) -> None:
        """End because the site cannot go on: with text as interrupted, without any by going back to the queue."""
        if not len(self.live.reasoning) + len(self.live.answer):
            self._cancel(Status.QUEUED)
        elif self._ending is None:
            self._reason = interrupted(cause, self.live.characters)
            self.live.update(notice=self._reason)
            self._cancel(Status.INTERRUPTED)

    def drop(self) -> None:
        """Leave a generation that another worker has taken: write nothing more."""
        if self._streaming:
            self._streaming.cancel()
        self.live.end()

    def take_progress(self) -> Progress:
        """Return what is not committed yet, for `note_stored` or, should the commit fail, for `keep_progress`."""
        uncommitted = merge(self._uncommitted)
        if uncommitted and uncommitted[0].relabels:
            self._relabelled = True
            self._kept = [(Kind.REASONING, text) for _, text in self._kept]
        pieces = [*self._kept, *((delta.kind, delta.text) for delta in uncommitted if delta.text)]
        progress = Progress(
            self.claim.generation_id,
            self.claim.attempt,
            self._sequence,
            pieces,
            self._relabelled,
            self._fields,
        )
        self._sequence += len(pieces)
        self._kept, self._uncommitted, self._relabelled, self._fields = [], [], False, {}
        return progress

    def note_stored(self, progress: Progress) -> None:
        self.waiting_characters -= sum(len(text) for _, text in progress.pieces)

    def keep_progress(self, progress: Progress) -> None:
        # As they are: a commit may have reached the database before its answer was lost, and is then only repeated.
        self._sequence, self._kept = progress.sequence, list(progress.pieces)
        self._relabelled |= progress.relabels
        self._fields = progress.fields | self._fields

    def _cancel(self, ending: str) -> None:
        if self._ending is None:
            self._ending = ending
            if self._streaming:
                self._streaming.cancel()

    async def _stream(self) -> Outcome:
        generation, prompt, last = await in_thread(self._prompt)
        self._fields["context_start"] = prompt.context_start
        self.live.update(activity=outcomes.activity(generation))
        trimmer = None
        if generation.goes_on:
            self.live.go_on_from(last)
            trimmer = None if self._endpoint.completes_prefixes else OverlapTrimmer(last.content, self._feed)
        thinking = False if generation.without_thinking else None
        request = self._endpoint.request(prompt.messages, thinking=thinking, continuing=generation.goes_on)
        self._fields["request"] = stored_request(request, prompt)
        try:
            return await stream(
                self._endpoint.create,
                request,
                trimmer or self._feed,
                stall_seconds=settings.STALL_SECONDS,
                gather_seconds=lambda: tick_seconds(self.live.tail_characters),
            )
        finally:
            if trimmer:
                trimmer.close()

    def _prompt(self) -> tuple[Generation, Prompt, Message]:
        """Return the generation, its prompt, and the last message of that: a question, or an answer to go on with."""
        found = _generation(self.claim.generation_id)
        if not found:
            raise Generation.DoesNotExist
        [generation] = found
        conversation = Conversation(self.claim.conversation_id)
        tree = conversation.tree()
        path = tree.path_to(generation.message_id)[: None if generation.goes_on else -1]
        by_id = {message.pk: message for message in _without_reasoning(path)}
        history = [by_id[pk] for pk in path if pk in by_id]  # what was deleted meanwhile is gone
        if not history:
            raise Generation.DoesNotExist
        if generation.goes_on:
            history[-1:] = conversation.read(tree, path[-1:])
        prompt = build_prompt(
            history,
            system=settings.SYSTEM_PROMPT,
            context_tokens=self._endpoint.context_tokens,
            output_tokens=settings.MAX_OUTPUT_TOKENS,
        )
        return generation, prompt, history[-1]

    def _feed(self, deltas: list[Delta]) -> None:
        first_at = dict(self._totals.first_at)
        self._totals.add(deltas, timezone.now())
        if self._totals.first_at != first_at:
            self._fields["first_thought_at"] = self._totals.first_at.get(Kind.REASONING)
            self._fields["first_answer_at"] = self._totals.first_at.get(Kind.ANSWER)
            if not first_at:
                metrics.FIRST_DELTA.observe(time.monotonic() - self._begun)
        self._uncommitted += deltas
        self.waiting_characters += sum(len(delta.text) for delta in deltas)
        before = self.live.status
        self.live.feed(deltas)
        if self.live.status != before:
            self._fields["status"] = self.live.status

    def _outcome(self, outcome: Outcome) -> End:
        if outcome.finish_reason == "content_filter":
            return self._end(Status.FILTERED, Filtered.sentence, outcome)
        if outcome.finish_reason == "insufficient_system_resource":
            sentence = "The model ran out of resources mid-answer. What arrived has been saved. Try again."
            return self._end(Status.FAILED, sentence, outcome)
        return self._end(Status.LENGTH if outcome.finish_reason == "length" else Status.COMPLETE, "", outcome)

    def _end(self, status: str, error: str, outcome: Outcome | None = None) -> End:
        told = {"finish_reason": outcome.finish_reason, "usage": outcome.usage} if outcome else {}
        return End(status, str(self.live.reasoning), str(self.live.answer), error, **told)

    async def _finish(self, end: End) -> None:
        if not await self._write(finish, end, self._fields):
            logger.warning("generation %s was taken over; its end is not ours to write", self.claim.generation_id)
        else:
            metrics.ENDED.labels(end.status, self._cause).inc()
            metrics.DURATION.observe(time.monotonic() - self._begun)
        self.live.end()

    async def _give_back(self) -> None:
        await self._write(release)
        self.live.end()

    async def _write(self, write: Callable[..., bool], *arguments: object) -> bool:
        """Write the end, waiting for the database if it is away; False if the generation was taken away meanwhile."""
        while True:
            try:
                return await in_thread(write, self._worker_id(), self.claim, *arguments)
            except DatabaseError as error:
                logger.warning("generation %s waits to be written: %s", self.claim.generation_id, type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)


@prepared
def _generation(pk: Any) -> QuerySet:
    return Generation.objects.filter(pk=pk)


@prepared
def _without_reasoning(messages: Any) -> QuerySet:
    return Message.objects.filter(pk__in=messages).defer("reasoning")
