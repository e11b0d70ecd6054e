"""Give conversations better titles after their first answer: one short request, without thinking.

Whatever fails here changes nothing but the log: then the title remains the first words of the question.
"""

import asyncio
import contextvars
import logging
from typing import NamedTuple

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Substr

from chatsite.outages import describe
from conversations.events import Topic, publish
from conversations.generation.commit import Claim
from conversations.inference.allowance import Charge, charge, estimate_usage, settle
from conversations.inference.chunks import Usage
from conversations.inference.deltas import Delta
from conversations.inference.endpoint import OpenModel, OpenModels
from conversations.inference.errors import InferenceError
from conversations.inference.prompt import estimate_tokens
from conversations.inference.registry import Model
from conversations.inference.stream import stream
from conversations.inference.titles import (
    ANSWER_CHARACTERS,
    OUTPUT_TOKENS,
    QUESTION_CHARACTERS,
    clean_title,
    title_messages,
    title_model,
)
from conversations.models import Conversation, Generation, Kind, LegalHold, Message, Status
from conversations.models.access import allowed_models
from conversations.models.conversation import TITLE_CHARACTERS, TitleSource, title_from
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

SECONDS = 15.0  # for the whole request
AT_ONCE = 20  # requests of one process; conversations whose first answer ends meanwhile keep their titles
MAX_CHARACTERS = 4_000  # of the response that are looked at
ANSWERED = (Status.COMPLETE, Status.LENGTH)


class Task(NamedTuple):
    """What to ask, what was charged for it, and the title that it may replace."""

    opened: OpenModel
    messages: list[dict[str, str]]
    charged: Charge
    prompt_tokens: int
    title: str


class Titles:
    """The requests of this process for titles. None is repeated."""

    def __init__(self, models: OpenModels) -> None:
        self._models = models
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, claimed: Claim, answered: Model) -> None:
        """Ask for a title in the background, if a generation that has ended is its conversation's first answer."""
        if title_model(answered, settings.MODELS) and len(self._tasks) < AT_ONCE:
            context = contextvars.Context()
            task = asyncio.get_running_loop().create_task(write_title(claimed, answered, self._models), context=context)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        """Give up all requests. What was charged for them remains counted: the endpoint may have used it."""
        for task in (tasks := set(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def write_title(claimed: Claim, answered: Model, models: OpenModels) -> None:
    """Ask for a title and store it."""
    try:
        if task := await run_in_thread(_prepare, claimed, answered, models):
            title = clean_title(await _ask(task.opened, task))
            if title:
                await run_in_thread(_store, claimed, task.title, title)
    except InferenceError as error:
        logger.info("no title for conversation %s: %s", claimed.conversation_id, error.report)
    except (TimeoutError, Error) as error:
        logger.info("no title for conversation %s: %s", claimed.conversation_id, describe(error))
    except Exception:  # of our own: the answer is complete, so nobody else would notice
        logger.exception("no title for conversation %s", claimed.conversation_id)


def _prepare(claimed: Claim, by: Model, models: OpenModels) -> Task | None:
    """Return what to ask, and count its tokens; None if the conversation is to keep its title, or too few are left."""
    answered = Generation.objects.filter(conversation=claimed.conversation_id, status__in=ANSWERED)
    found = answered.filter(
        pk=claimed.generation_id,
        attempt=claimed.attempt,
        owner__is_active=True,
        conversation__title_source=TitleSource.AUTOMATIC,
        conversation__deleted_at=None,
    )
    found = found.exclude(Exists(answered.filter(pk__lt=OuterRef("pk"))))
    found = found.exclude(Exists(LegalHold.objects.covering(OuterRef("conversation"), OuterRef("owner"))))
    question = Substr("message__parent__content", 1, QUESTION_CHARACTERS)
    answer = Substr("message__content", 1, ANSWER_CHARACTERS)
    row = found.values_list("conversation__title", question, answer).first()
    if not row or not row[2].strip():
        return None
    first = Message.objects.filter(conversation=claimed.conversation_id).order_by("pk")
    beginning = first.values_list(Substr("content", 1, TITLE_CHARACTERS * 10), flat=True).first()
    # An earlier version, beside this one, renames conversations without saying so.
    if row[0] != title_from(beginning or ""):
        return None
    owners = allowed_models(Conversation(claimed.conversation_id, owner_id=claimed.owner_id))
    if not (model := title_model(by, owners)) or not (opened := models.find(model.id)):
        return None
    messages = title_messages(row[1], row[2])
    prompt_tokens = sum(estimate_tokens(message["content"]) for message in messages)
    charged = charge(claimed.generation_id, claimed.owner_id, model, Usage(prompt_tokens, None, OUTPUT_TOKENS))
    return Task(opened, messages, charged, prompt_tokens, row[0]) if charged else None


async def _ask(opened: OpenModel, task: Task) -> str:
    """Return what the model answers, "" if it thinks all the same. Raises `InferenceError` and `TimeoutError`."""
    texts = dict.fromkeys(Kind, "")

    def sink(deltas: list[Delta]) -> None:
        nonlocal texts
        for delta in deltas:
            if delta.relabels:
                texts = {Kind.REASONING: "".join(texts.values()), Kind.ANSWER: ""}
            texts[delta.kind] = (texts[delta.kind] + delta.text)[:MAX_CHARACTERS]

    def amend(request: dict[str, object], error: InferenceError) -> dict[str, object] | None:
        return found[1] if (found := opened.without_refused(request, error)) else None

    request = opened.request(task.messages, thinking=False, output_tokens=OUTPUT_TOKENS)
    try:
        async with asyncio.timeout(SECONDS):
            outcome = await stream(
                opened.endpoint.create, request, sink, stall_seconds=SECONDS, amend=amend, attempts=1
            )
    except InferenceError:
        if not any(texts.values()):
            await run_in_thread(settle, task.charged, Usage())  # it has used nothing
        raise
    estimated = estimate_usage(task.prompt_tokens, texts[Kind.REASONING], texts[Kind.ANSWER])
    await run_in_thread(settle, task.charged, outcome.usage if any(outcome.usage.counts) else estimated)
    if outcome.failure:
        raise outcome.failure
    return "" if texts[Kind.REASONING] else texts[Kind.ANSWER]


def _store(claimed: Claim, before: str, title: str) -> None:
    """Replace the title `before`, unless somebody has renamed the conversation or a hold applies."""
    with transaction.atomic():
        conversation = Conversation.objects.filter(pk=claimed.conversation_id)
        list(conversation.select_for_update().values_list("pk"))  # see `LegalHold`
        automatic = conversation.filter(title_source=TitleSource.AUTOMATIC, title=before)
        unheld = automatic.exclude(Exists(LegalHold.objects.covering(OuterRef("pk"), OuterRef("owner"))))
        if unheld.update(title=title, title_source=TitleSource.GENERATED):
            publish(Topic.CONVERSATION_CHANGED, claimed.conversation_id)
            publish(Topic.LIST_CHANGED, claimed.owner_id, claimed.conversation_id)
