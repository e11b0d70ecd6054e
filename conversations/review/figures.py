"""Figures of use, computed in the database and drawn as SVG: what happened, never what was said.

Each figure is a table: its head, its rows, and for a chart which column is drawn. The same rows make the CSV.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import connection
from django.db.models import Avg, Count, Exists, F, FloatField, OuterRef, Q, QuerySet
from django.db.models.functions import Cast, Coalesce, TruncDate
from django.utils import timezone

from conversations.models import Generation, Item, Status, User, Verdict
from conversations.models.generation import LIVE

DAYS = 30
# Of the drawing, in its own units: a bar's line, and the widest bar.
LINE = 18
WIDEST = 180


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart, and where it and its label stand."""

    label: str
    value: float
    width: float
    y: int
    baseline: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A table, and the column of it that is drawn as bars (None: none is)."""

    name: str
    title: str
    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    drawn: int | None = None

    @property
    def bars(self) -> list[Bar]:
        if self.drawn is None:
            return []
        values = [(str(row[0]), float(row[self.drawn] or 0)) for row in self.rows]
        most = max((value for _, value in values), default=0) or 1
        return [
            Bar(label, value, round(WIDEST * value / most, 1), number * LINE + 3, number * LINE + 13)
            for number, (label, value) in enumerate(values)
        ]

    @property
    def height(self) -> int:
        return len(self.rows) * LINE


def all_of(reviewer: User, since: date, until: date) -> list[Figure]:
    """Return all figures of the conversations in a reviewer's field, from one day to another, both included."""
    generations, items = (
        kind.objects.filter(created_at__gte=_midnight(since), created_at__lt=_midnight(until + timedelta(days=1)))
        for kind in (Generation, Item)
    )
    if reviewer.review_limited:
        generations = generations.filter(Exists(reviewer.review_groups.filter(user=OuterRef("owner"))))
        items = items.reviewable_by(reviewer)
    made = [
        make(generations)
        for make in (_by_day, _by_model, _by_outcome, _failures, _times, _thinking, _how_long_models_think)
    ]
    return [*made, _throughput(items)]


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def last_days(days: int = DAYS) -> tuple[date, date]:
    """Return the first and the last of the last so many days."""
    today = timezone.localdate()
    return today - timedelta(days=days - 1), today


def _by_day(generations: QuerySet[Generation]) -> Figure:
    rows = generations.annotate(day=TruncDate("created_at")).values("day").order_by("day")
    counted = rows.annotate(
        answers=Count("pk"), people=Count("owner", distinct=True), failed=Count("pk", filter=Q(status=Status.FAILED))
    )
    found = [(day.isoformat(), *counts) for day, *counts in counted.values_list("day", "answers", "people", "failed")]
    return Figure("days", "Answers a day", ("Day", "Answers", "People", "Failed"), found, drawn=1)


def _by_model(generations: QuerySet[Generation]) -> Figure:
    tokens = Coalesce("prompt_tokens", 0) + Coalesce("reasoning_tokens", 0) + Coalesce("answer_tokens", 0)
    rows = generations.exclude(model="").values("model").annotate(answers=Count("pk"), tokens=Avg(tokens))
    counted = rows.order_by("-answers").values_list("model", "answers", "tokens")
    found = [(model, answers, round(mean or 0)) for model, answers, mean in counted]
    return Figure("models", "Answers by model", ("Model", "Answers", "Tokens each"), found, drawn=1)


def _by_outcome(generations: QuerySet[Generation]) -> Figure:
    rows = generations.exclude(status__in=LIVE).values("status").annotate(answers=Count("pk")).order_by("-answers")
    found = [(Status(status).label, answers) for status, answers in rows.values_list("status", "answers")]
    return Figure("outcomes", "How answers ended", ("Outcome", "Answers"), found, drawn=1)


def _failures(generations: QuerySet[Generation]) -> Figure:
    # The sentence people read says the cause, without a word of theirs.
    rows = generations.filter(status__in=(Status.FAILED, Status.FILTERED)).values("error")
    counted = rows.annotate(answers=Count("pk")).order_by("-answers", "error")[:20]
    found = [tuple(row) for row in counted.values_list("error", "answers")]
    return Figure("failures", "Why answers failed", ("What people were told", "Answers"), found, drawn=1)


def _times(generations: QuerySet[Generation]) -> Figure:
    started = generations.filter(started_at__isnull=False)
    measures = (
        ("From the question to the first thought", "first_thought_at", "created_at"),
        ("From the question to the answer", "first_answer_at", "created_at"),
        ("From the start to the end", "finished_at", "started_at"),
    )
    found = [
        (label, *_percentiles(started.filter(**{f"{end}__isnull": False}), F(end) - F(begin)))
        for label, end, begin in measures
    ]
    return Figure("times", "Seconds", ("What", "Median", "95 of 100 are quicker than"), found)


def _percentiles(generations: QuerySet[Generation], took: Any) -> tuple[float | None, float | None]:
    """Return the median and the 95th percentile of a duration in seconds; None where there is nothing.

    PostgreSQL has a function for them; elsewhere two rows of the sorted durations are read.
    """
    durations = generations.annotate(took=took).values_list("took", flat=True).order_by("took")
    if connection.vendor == "postgresql":
        inner, parameters = durations.order_by().query.sql_with_params()
        query = f"select percentile_disc(array[0.5, 0.95]) within group (order by took) from ({inner}) as durations"  # noqa: S608  (Django's own text)
        with connection.cursor() as cursor:
            cursor.execute(query, parameters)
            found = cursor.fetchone()[0] or (None, None)
    else:
        count = durations.count()
        found = [durations[int(count * share)] for share in (0.5, 0.95)] if count else (None, None)
    half, most = (None if value is None else round(value.total_seconds(), 1) for value in found)
    return half, most


def _thinking(generations: QuerySet[Generation]) -> Figure:
    rated = generations.filter(message__feedback__isnull=False)
    rows = (
        rated.values(rating=F("message__feedback__rating"))
        .order_by("rating")
        .annotate(answers=Count("pk"), tokens=Avg(Cast("reasoning_tokens", FloatField())))
    )
    counted = rows.values_list("rating", "answers", "tokens")
    found = [(rating, answers, round(mean or 0)) for rating, answers, mean in counted]
    return Figure("ratings", "Thinking and rating", ("Rating", "Answers", "Tokens of thinking, mean"), found, drawn=2)


def _how_long_models_think(generations: QuerySet[Generation]) -> Figure:
    bounds = ((0, 100), (100, 500), (500, 2_000), (2_000, 10_000), (10_000, None))
    counts = generations.aggregate(
        **{
            f"from_{low}": Count("pk", filter=Q(reasoning_tokens__gte=low, reasoning_tokens__lt=high or 2**31))
            for low, high in bounds
        }
    )
    found = [(f"{low:,} to {high:,}" if high else f"{low:,} and more", counts[f"from_{low}"]) for low, high in bounds]
    return Figure("thinking", "How long models think", ("Tokens", "Answers"), found, drawn=1)


def _throughput(items: QuerySet[Item]) -> Figure:
    by_day: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for at, place in (("created_at", 0), ("resolved_at", 1)):
        days = items.exclude(**{at: None}).annotate(day=TruncDate(at)).values("day").annotate(items=Count("pk"))
        for day, count in days.values_list("day", "items"):
            by_day[day][place] = count
    verdicts = dict(items.exclude(verdict="").values_list("verdict").annotate(Count("pk")))
    told = "; ".join(f"{label}: {verdicts[value]}" for value, label in Verdict.choices if value in verdicts)
    rows: list[Sequence[Any]] = [(day.isoformat(), *counts) for day, counts in sorted(by_day.items())]
    title = f"Reviews a day ({told})" if told else "Reviews a day"
    return Figure("reviews", title, ("Day", "Came", "Resolved"), list(map(tuple, rows)), drawn=2)
