from datetime import date
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection, models
from django.db.models import Sum

from chatsite.time_zones import site_day

if TYPE_CHECKING:
    from conversations.models.user import User

TOKENS = ("input_tokens", "output_tokens", "reasoning_tokens")
# One statement, because generations of one person end at the same time: they must not overwrite each other's sums.
ADD_GENERATION = """
insert into conversations_dailyusage as stored (user_id, day, model, input_tokens, output_tokens, reasoning_tokens)
select owner_id, %s, model, coalesce(prompt_tokens, 0), coalesce(answer_tokens, 0), coalesce(reasoning_tokens, 0)
from conversations_generation where id = %s
on conflict (user_id, day, model) do update set
    input_tokens = stored.input_tokens + excluded.input_tokens,
    output_tokens = stored.output_tokens + excluded.output_tokens,
    reasoning_tokens = stored.reasoning_tokens + excluded.reasoning_tokens
"""


class DailyUsageQuerySet(models.QuerySet["DailyUsage"]):
    def on(self, day: date) -> "DailyUsageQuerySet":
        return self.filter(day=day)

    def tokens(self) -> int:
        """Return the sum of all tokens."""
        return sum(self.aggregate(**{name: Sum(name, default=0) for name in TOKENS}).values())


class DailyUsage(models.Model):
    """The tokens that a user's generations with one model used, as counted by the endpoint, by the day of their end.

    Days are in the site's time zone; `model` is the name at the endpoint, as in `Generation.model`. Rows remain when
    conversations are deleted, and are deleted with the user.
    """

    # Without a constraint: a version from before this table, side by side or after a rollback, can delete users.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="usage", db_constraint=False)
    day = models.DateField()
    model = models.CharField(max_length=200)
    input_tokens = models.BigIntegerField(db_default=0)
    output_tokens = models.BigIntegerField(db_default=0)  # without reasoning
    reasoning_tokens = models.BigIntegerField(db_default=0)

    objects = DailyUsageQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "day", "model"], name="one_usage_of_a_day_and_model")]

    def __str__(self) -> str:
        return f"Daily usage {self.pk}"


def add_usage(generation_id: int) -> None:
    """Add the tokens of a generation that has just ended, in the transaction that ends it; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_GENERATION, [site_day().isoformat(), generation_id])


def tokens_today(user: "User") -> int:
    """Return the number of tokens that a user's generations have used since midnight in the site's time zone."""
    return DailyUsage.objects.on(site_day()).filter(user=user).tokens()
