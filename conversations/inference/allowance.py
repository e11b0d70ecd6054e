"""How much of the owner's tokens of the day a generation may use, and how much it has used if nobody counted.

With `USER_DAILY_TOKENS`, queueing reserves the prompt and the longest possible answer, or what is left if that is less;
then the endpoint is asked for no longer answer than that. See `models.usage.reserve`.
"""

from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, IntegerField
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from chatsite.time_zones import describe_moment, start_of_next_day
from conversations.inference.chunks import Usage
from conversations.inference.errors import TooFewTokens
from conversations.inference.instructions import system_pieces, system_text
from conversations.inference.prompt import estimate_tokens, tokens_of
from conversations.inference.registry import limits_of
from conversations.models import Attachment, Generation, Instructions, Message, Status, StoredText, User
from conversations.models.conversation import Tree
from conversations.models.usage import Tokens, add_usage, balance, reserve

# A shorter answer is not worth its prompt. If the day's limit is small, it is a tenth of that instead.
LEAST_OUTPUT_TOKENS = 500


class Bytes(Func):
    """The length of a text in UTF-8."""

    output_field = IntegerField()
    function = "octet_length"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        return self.as_sql(compiler, connection, template="length(cast(%(expressions)s as blob))", **context)


class OutputLimit(NamedTuple):
    """How many tokens an answer with its reasoning may have, and the sentence for one that reaches that."""

    tokens: int
    notice: str


def estimate_prompt(generation: Generation) -> int:
    """Return about how many tokens the prompt of a generation has, with its history.

    One query for the messages, and one each for files and for instructions, if there are any; none reads text.
    """
    messages = Message.objects.filter(conversation=generation.conversation_id).order_by("pk")
    rows = list(messages.with_has_files().values_list("pk", "parent_id", Bytes("content"), "has_files"))
    sizes = {pk: size for pk, _, size, _ in rows}
    path = Tree((pk, parent) for pk, parent, _, _ in rows).path_to(generation.message_id)
    history = sum(tokens_of(sizes[pk]) for pk in path if sizes[pk])
    if with_files := {pk for pk, _, _, has_files in rows if has_files}.intersection(path):
        files = Attachment.objects.of_messages(with_files)
        history += sum(attachment.tokens for each in files.values() for attachment in each)
    system = system_text(system_pieces(settings.SYSTEM_PROMPT, versions := _without_text(generation)))
    size = len(system.encode()) + sum(version.size for version in versions)
    return min((tokens_of(size) if size else 0) + history, limits_of(generation.model).context_tokens)


def _without_text(generation: Generation) -> list[Any]:
    """Return the instructions of a generation with their `size` in bytes in place of their text."""
    if not (ids := [pk for pk in generation.instructions.values() if pk]):
        return []
    found = Instructions.objects.filter(pk__in=ids).defer("content").annotate(size=Bytes("content"))
    for version in found:
        version.content = ""
    return list(found)


def estimate_usage(prompt_tokens: int, reasoning: str, answer: str) -> Usage:
    """Return about how many tokens a generation has used with this text."""
    thought, answered = (estimate_tokens(text) if text else None for text in (reasoning, answer))
    return Usage(prompt_tokens, thought, answered, is_estimate=True)


def usage_at_end(
    status: Status, prompt_tokens: int, reasoning: str, answer: str, reported: Usage | None = None
) -> Usage:
    """Return what the endpoint reported or, if that is nothing, an estimate.

    `prompt_tokens` is the estimate of what was sent, 0 if nothing was. Whoever stops an answer has used its prompt; an
    answer that failed before its first word counts nothing.
    """
    if reported and any(reported.counts):
        return reported
    if prompt_tokens and (reasoning or answer or status == Status.STOPPED):
        return estimate_usage(prompt_tokens, reasoning, answer)
    return reported or Usage()


def add_usage_so_far(generation: Generation) -> None:
    """Count what a running generation has used. The caller has locked its row, and deletes it."""
    add_usage(generation.pk, timezone.now(), _usage_so_far(generation).counts)


def release_unused(generation: Generation) -> None:
    """Of what a generation that is being stopped has reserved, keep only what it has used."""
    used = sum(number or 0 for number in _usage_so_far(generation).counts)
    running = Generation.objects.running().filter(pk=generation.pk, reserved_tokens__gt=used)
    running.update(reserved_tokens=used)


def reserve_tokens(generation: Generation, prompt_tokens: int, time_zone: str = "") -> None:
    """Reserve tokens for a live generation, like `models.usage.reserve`. Raises `TooFewTokens`.

    `time_zone` is the name of the one in which the error says when there are more, if that is not the current one.
    """
    a_day: int = settings.USER_DAILY_TOKENS
    longest = limits_of(generation.model).output_tokens
    least = max(1, min(LEAST_OUTPUT_TOKENS, a_day // 10, longest))
    if reserve(generation, prompt_tokens, longest, least):
        return
    (used, reserved), needed = balance(generation.owner_id), prompt_tokens + least
    tomorrow = describe_moment(start_of_next_day(), time_zone)
    if used >= a_day:
        raise TooFewTokens(f"You've used {used:,} of today's {a_day:,} tokens.", f"You can ask again after {tomorrow}.")
    if needed > a_day - used:
        raise TooFewTokens(
            f"With its conversation, this question needs about {needed:,} tokens,"
            f" and you have {a_day - used:,} of today's {a_day:,} left.",
            f"Shorten it, start a new conversation, or ask again after {tomorrow}.",
        )
    raise TooFewTokens(
        f"Your questions that are waiting or being answered may need {reserved:,} of today's {a_day:,} tokens,"
        " and too few are left for this one.",
        f"Ask again when they have been answered, or after {tomorrow}.",
    )


def output_limit(generation: Generation, prompt_tokens: int) -> OutputLimit | None:
    """Return the limit for the answer of a claimed generation; None if its owner's tokens of the day set none.

    Reserves again if the history has grown since it was queued, or only a rest was reserved. Raises `TooFewTokens`.
    """
    wanted = prompt_tokens + limits_of(generation.model).output_tokens
    if not settings.USER_DAILY_TOKENS or generation.reserved_tokens is None or generation.reserved_tokens >= wanted:
        return None
    with transaction.atomic():
        list(StoredText.objects.select_for_update().filter(user=generation.owner_id))  # as `limits.reached` does
        time_zone = User.objects.values_list("time_zone", flat=True).get(pk=generation.owner_id) or ""
        reserve_tokens(generation, prompt_tokens, time_zone)
        generation.refresh_from_db(fields=["reserved_tokens"])
    if generation.reserved_tokens >= wanted:
        return None
    tomorrow = describe_moment(start_of_next_day(), time_zone)
    notice = f"The answer used what was left of your tokens for today. You can continue it after {tomorrow}."
    return OutputLimit(generation.reserved_tokens - prompt_tokens, notice)


class Charge(NamedTuple):
    """Tokens that were counted before they are used, for a request that is no generation but concerns one."""

    generation_id: int
    owner_id: int
    model: str
    at: datetime
    counts: Tokens


def charge(generation_id: int, owner_id: int, model: str, expected: Usage) -> Charge | None:
    """Count `expected` tokens for the owner's day before they are used; None if fewer are left."""
    charged = Charge(generation_id, owner_id, model, timezone.now(), expected.counts)
    with transaction.atomic():
        _add(charged, charged.counts)
        if settings.USER_DAILY_TOKENS:
            # Locked after the write to `DailyUsage`; see `StoredText`.
            list(StoredText.objects.select_for_update().filter(user=owner_id))
            if sum(balance(owner_id)) > settings.USER_DAILY_TOKENS:
                transaction.set_rollback(True)
                return None
    return charged


def settle(charged: Charge, used: Usage) -> None:
    """Count what was used instead of what was charged."""
    with transaction.atomic():
        _add(charged, charged.counts, sign=-1)
        _add(charged, used.counts)


def _add(charged: Charge, counts: Tokens, sign: int = 1) -> None:
    add_usage(charged.generation_id, charged.at, counts, sign, charged.model)


def _usage_so_far(generation: Generation) -> Usage:
    return estimate_usage(estimate_prompt(generation), *generation.committed_text())
