"""How much of the owner's tokens of the day a generation may use, and how much it has used if nobody counted.

With `USER_DAILY_TOKENS` or a model's `daily_tokens`, queueing reserves the prompt and the longest possible answer, or
what is left if that is less; then the endpoint is asked for no longer answer than that. See `models.usage.reserve`.
"""

from collections.abc import Sequence
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
from conversations.inference.registry import Model, find, limits_of
from conversations.models import Attachment, Generation, Instructions, Message, Status, StoredText, User
from conversations.models.access import allowed_models, daily_limits
from conversations.models.tree import Tree
from conversations.models.usage import DailyLimit, Tokens, add_usage, balance, reserve

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


def reserve_tokens(generation: Generation, prompt_tokens: int | None = None, time_zone: str = "") -> None:
    """Reserve tokens for a live generation, like `models.usage.reserve`, if there is a limit. Raises `TooFewTokens`.

    Without `prompt_tokens`, they are estimated. `time_zone` is the name of the one in which the error says when there
    are more, if that is not the current one.
    """
    if not (limits := _limits(generation)):
        return
    if prompt_tokens is None:
        prompt_tokens = estimate_prompt(generation)
    longest = limits_of(generation.model).output_tokens
    least = max(1, min(LEAST_OUTPUT_TOKENS, longest, *(limit.tokens // 10 for limit in limits)))
    if not reserve(generation, limits, prompt_tokens, longest, least):
        raise _too_few_tokens(generation, limits, prompt_tokens + least, time_zone)


def _limits(generation: Generation) -> list[DailyLimit]:
    model = find(generation.model)
    return daily_limits(User(pk=generation.owner_id), [model] if model else [])


def _too_few_tokens(generation: Generation, limits: Sequence[DailyLimit], needed: int, time_zone: str) -> TooFewTokens:
    """Return the error that says which of the limits is too low for what a generation needs."""
    balances = {limit: balance(generation.owner_id, limit, without=generation) for limit in limits}
    # If tokens have been given back meanwhile, it is as good to name the first.
    limit = next((limit for limit, found in balances.items() if sum(found) + needed > limit.tokens), limits[0])
    (used, reserved), a_day, model = balances[limit], f"today's {limit.tokens:,}", limit.suffix
    has_others = bool(model) and len(allowed_models(User(pk=generation.owner_id))) > 1
    tomorrow = describe_moment(start_of_next_day(), time_zone)
    if used >= limit.tokens:
        advice = "Choose another model, or ask" if has_others else "You can ask"
        return TooFewTokens(f"You've used {used:,} of {a_day} tokens{model}.", f"{advice} again after {tomorrow}.")
    if needed > limit.tokens - used:
        return TooFewTokens(
            f"With its conversation, this question needs about {needed:,} tokens,"
            f" and you have {limit.tokens - used:,} of {a_day} left{model}.",
            f"Shorten it, start a new conversation, {'choose another model, ' if has_others else ''}"
            f"or ask again after {tomorrow}.",
        )
    return TooFewTokens(
        f"Your questions that are waiting or being answered may need {reserved:,} of {a_day} tokens{model},"
        " and too few are left for this one.",
        f"Ask again when they have been answered, or after {tomorrow}.",
    )


def output_limit(generation: Generation, prompt_tokens: int) -> OutputLimit | None:
    """Return the limit for the answer of a claimed generation; None if its owner's tokens of the day set none.

    Reserves again if the history has grown since it was queued, or only a rest was reserved. Raises `TooFewTokens`.
    """
    wanted = prompt_tokens + limits_of(generation.model).output_tokens
    if generation.reserved_tokens is None or generation.reserved_tokens >= wanted:
        return None
    if not (limits := _limits(generation)):
        return None
    with transaction.atomic():
        # The generation first, like actions that stop it before they write text. `limits.reached` locks the other row.
        list(Generation.objects.select_for_update(of=("self",)).filter(pk=generation.pk).values_list("pk"))
        list(StoredText.objects.select_for_update().filter(user=generation.owner_id))
        time_zone = User.objects.values_list("time_zone", flat=True).get(pk=generation.owner_id) or ""
        reserve_tokens(generation, prompt_tokens, time_zone)
        generation.refresh_from_db(fields=["reserved_tokens"])
    if generation.reserved_tokens >= wanted:
        return None
    lowest = min(limits, key=lambda limit: limit.tokens - sum(balance(generation.owner_id, limit)))
    tomorrow = describe_moment(start_of_next_day(), time_zone)
    notice = f"The answer used what was left of today's tokens{lowest.suffix}. You can continue it after {tomorrow}."
    return OutputLimit(generation.reserved_tokens - prompt_tokens, notice)


class Charge(NamedTuple):
    """Tokens that were counted before they are used, for a request that is no generation but concerns one."""

    generation_id: int
    owner_id: int
    model: str
    at: datetime
    counts: Tokens


def charge(generation_id: int, owner_id: int, model: Model, expected: Usage) -> Charge | None:
    """Count `expected` tokens for the owner's day before they are used; None if fewer are left."""
    charged = Charge(generation_id, owner_id, model.id, timezone.now(), expected.counts)
    limits = daily_limits(User(pk=owner_id), [model])
    with transaction.atomic():
        _add(charged, charged.counts)
        if limits:
            # Locked after the write to `DailyUsage`; see `StoredText`.
            list(StoredText.objects.select_for_update().filter(user=owner_id))
        if any(sum(balance(owner_id, limit)) > limit.tokens for limit in limits):
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
