"""What people use of their tokens: the ledger of ended generations, and what live ones have reserved."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import reduce
from operator import sub
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.conf import settings
from django.db import connection, models
from django.db.models import BigIntegerField, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Least
from django.utils.crypto import salted_hmac

from chatsite.time_zones import site_day
from conversations.models.generation import Generation

if TYPE_CHECKING:
    from conversations.models.user import User

Rows = TypeVar("Rows", bound=models.QuerySet[Any])
Tokens = tuple[int | None, int | None, int | None]  # of the prompt, the reasoning and the answer; None: unknown

TOKENS = ("input_tokens", "reasoning_tokens", "output_tokens")
ALL_TOKENS = F("input_tokens") + F("reasoning_tokens") + F("output_tokens")
# One statement, because generations of one person end at the same time: they must not overwrite each other's sums.
ADD_TOKENS = """
insert into conversations_dailyusage as stored (user_id, day, model, input_tokens, reasoning_tokens, output_tokens)
select owner_id, %s, coalesce(%s, model), %s, %s, %s from conversations_generation where id = %s
on conflict (user_id, day, model) do update set
    input_tokens = stored.input_tokens + excluded.input_tokens,
    output_tokens = stored.output_tokens + excluded.output_tokens,
    reasoning_tokens = stored.reasoning_tokens + excluded.reasoning_tokens
"""


class DailyUsageQuerySet(models.QuerySet["DailyUsage"]):
    def on(self, day: date) -> "DailyUsageQuerySet":
        return self.filter(day=day)

    def of_deleted(self, user: "User") -> "DailyUsageQuerySet":
        """Keep what deleted accounts of the same person have used; see `DailyUsage.deleted_account`."""
        return self.filter(user=None, deleted_account=_identity(user))

    def by_day_and_model(self, since: date) -> list[tuple[Any, ...]]:
        """Return (day, model, input, reasoning and output tokens) from `since` on, newest day first."""
        rows = self.filter(day__gte=since).values_list("day", "model").annotate(*(Sum(name) for name in TOKENS))
        return list(rows.order_by("-day", "model"))

    def by_model(self) -> dict[str, int]:
        """Return the sum of all tokens of each model."""
        return dict(self.order_by().values("model").annotate(total=Sum(ALL_TOKENS)).values_list("model", "total"))

    def tokens(self) -> int:
        """Return the sum of all tokens."""
        return int(self.aggregate(total=Sum(ALL_TOKENS, default=0))["total"])


class DailyUsage(models.Model):
    """The tokens that a user's generations with one model used, by the day of their end.

    They are the endpoint's counts, or estimates where it reported none. Days are in the site's time zone; `model` is
    the name at the endpoint, as in `Generation.model`. Rows remain when conversations are deleted, and without a user
    when the user is deleted. Until that day has ended, `deleted_account` identifies the person (`keep_for_today`).
    """

    # Without a constraint: a version from before this table, side by side or after a rollback, can delete users.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="usage", db_constraint=False
    )
    deleted_account = models.CharField(max_length=64, db_default="", blank=True)
    day = models.DateField()
    model = models.CharField(max_length=200)
    input_tokens = models.BigIntegerField(db_default=0)
    output_tokens = models.BigIntegerField(db_default=0)  # without reasoning
    reasoning_tokens = models.BigIntegerField(db_default=0)

    objects = DailyUsageQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "day", "model"], name="one_usage_of_a_day_and_model")]
        indexes = [
            models.Index(
                fields=["deleted_account"], condition=~Q(deleted_account=""), name="usage_of_deleted_accounts"
            ),
            models.Index(fields=["day"], name="usage_by_day"),
        ]

    def __str__(self) -> str:
        return f"Daily usage {self.pk}"


class Balance(NamedTuple):
    """A user's tokens of the day: those that ended generations used, and those that live ones may still use."""

    used: int
    reserved: int


class DailyLimit(NamedTuple):
    """How many tokens a user may use in a day: of all models together or, with a `model`, of that one."""

    tokens: int
    model: str = ""  # its id
    label: str = ""

    @property
    def suffix(self) -> str:
        """Return what to append to "tokens" in a sentence."""
        return f" for {self.label}" if self.model else ""

    def of(self, rows: Rows) -> Rows:
        """Keep the usage, or the generations, that count against this limit."""
        return rows.filter(model=self.model) if self.model else rows


def add_usage(generation_id: int, ended_at: datetime, tokens: Tokens, sign: int = 1, model: str | None = None) -> None:
    """Add the tokens of a generation to the day of its end, in the transaction that ends it; one statement.

    With a `sign` of -1, subtract what was added before. `model` is the one that used them, if not the generation's.
    """
    if any(tokens):
        counts = [sign * (number or 0) for number in tokens]
        with connection.cursor() as cursor:
            cursor.execute(ADD_TOKENS, [site_day(ended_at).isoformat(), model, *counts, generation_id])


def reserve(
    generation: Generation, limits: Sequence[DailyLimit], prompt_tokens: int, output_tokens: int, least: int
) -> bool:
    """Reserve tokens of today for a live generation, in one conditional UPDATE; False if a limit leaves too few.

    That is its prompt and its output, or what is left for the output if that is at least `least`. The reservation
    counts while the generation is live, so nothing has to be given back, however it ends. The caller has locked the
    owner's `StoredText` before, so that this statement sees what concurrent ones reserved.
    """
    left = [_left(limit) for limit in limits]
    live = Generation.objects.live().filter(pk=generation.pk)
    reserving = live.annotate(left=left[0] if len(left) == 1 else Least(*left))
    wanted = Least(Value(prompt_tokens + output_tokens), F("left"))
    return bool(reserving.filter(left__gte=prompt_tokens + least).update(reserved_tokens=wanted))


def _left(limit: DailyLimit) -> Combinable:
    """Return what a limit leaves for a generation, in a query of generations."""
    mine = limit.of(DailyUsage.objects.on(site_day()).filter(user=OuterRef("owner"))).order_by()
    others = limit.of(Generation.objects.live().filter(owner=OuterRef("owner")).exclude(pk=OuterRef("pk"))).order_by()
    used = mine.values("user").annotate(total=Sum(ALL_TOKENS)).values("total")
    reserved = others.values("owner").annotate(total=Sum("reserved_tokens")).values("total")
    used_and_reserved = (Coalesce(Subquery(rows), 0, output_field=BigIntegerField()) for rows in (used, reserved))
    return reduce(sub, used_and_reserved, Value(limit.tokens, BigIntegerField()))


def balance(user: "User | int", limit: DailyLimit | None = None, without: Generation | None = None) -> Balance:
    """Return what a user has used and reserved today, of all models or of what a limit is about.

    What the generation `without` has reserved is left out.
    """
    used, live = DailyUsage.objects.on(site_day()).filter(user=user), Generation.objects.live().filter(owner=user)
    if limit:
        used, live = limit.of(used), limit.of(live)
    if without:
        live = live.exclude(pk=without.pk)
    return Balance(used.tokens(), live.aggregate(total=Sum("reserved_tokens", default=0))["total"])


def keep_for_today(user: "User") -> None:
    """Before an account is deleted, note whose tokens of today those are, so that they count for a new account.

    Otherwise somebody could reset the day's limit by deleting their account. Earlier days become anonymous at once.
    """
    DailyUsage.objects.on(site_day()).filter(user=user).update(deleted_account=_identity(user))


def take_over(user: "User") -> None:
    """Count for a new account what a deleted account of the same person has used today."""
    kept = DailyUsage.objects.on(site_day()).of_deleted(user)
    sums = kept.order_by().values("day", "model").annotate(**{name: Sum(name) for name in TOKENS})
    if rows := [DailyUsage(user=user, **sums_of_model) for sums_of_model in sums]:
        kept.delete()
        DailyUsage.objects.bulk_create(rows)


def forget_deleted_accounts() -> None:
    """Make the rows of deleted accounts anonymous when their day has ended."""
    DailyUsage.objects.exclude(deleted_account="").filter(day__lt=site_day()).update(deleted_account="")


def _identity(user: "User") -> str:
    """Return a keyed hash of what a person would sign up with again: their address or, without one, their name."""
    return salted_hmac("deleted account", (user.email or user.username).lower(), algorithm="sha256").hexdigest()
