"""The spans of a generation at the replica that runs it. Without tracing, nothing happens."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from chatsite import tracing
from chatsite.logs import bind_log_context
from conversations.generation.commit import Claim, Progress

MAX_COMMITS = 60  # spans for them: a minute. Later ones are only counted


@contextmanager
def generation_span(claimed: Claim, claim_began: int, model: str) -> Iterator[tracing.Span | None]:
    """Trace what happens inside as an attempt of this generation, after its wait and its claim.

    `claim_began` is in nanoseconds since 1970.
    """
    if not tracing.is_on():
        yield None
        return
    claimed_at = time.time_ns()
    request = tracing.context_of(claimed.generation_id)
    bind_log_context(trace=request.trace_id.hex())
    if claimed.queued_at:
        tracing.add("queue", request, int(claimed.queued_at.timestamp() * 1e9), claim_began)
    tracing.add("claim", request, claim_began, claimed_at)
    with tracing.span(
        "generation",
        request,
        generation=str(claimed.generation_id),
        conversation=str(claimed.conversation_id),
        attempt=claimed.attempt,
        model=model,
        outcome="none",
        commits=0,
    ) as span:
        yield span


def note_commit(span: tracing.Span | None, began: int, progress: Progress) -> None:
    """Add the commit of a generation's text, which began at `began` and has just ended."""
    if span and progress.chunks:
        span.attributes["commits"] = commits = int(span.attributes["commits"]) + 1
        if commits <= MAX_COMMITS:
            characters = sum(len(text) for _, text in progress.chunks)
            tracing.add("commit", span.context, began, time.time_ns(), characters=characters)
