"""Figures of use, computed in the database and drawn as SVG: what happened, never what was said.

Each figure is a table: its head, its rows, and for a chart which column is drawn. The same rows make the CSV.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import connection
from django.db.models import Avg, Case, Count, Exists, F, FloatField, OuterRef, Q, QuerySet, Sum, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, TruncDate
from django.utils import timezone

from conversations.models import Generation, Item, Status, User, Verdict
from conversations.models.generation import LIVE

DAYS = 30
# Of the drawing, in its own units: a bar's line, and the widest bar.
LINE = 18
WIDEST = 180
THOUGHT = ((0, 100), (100, 500), (500, 2_000), (2_000, 10_000), (10_000, 2**31))  # tokens, from and up to


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
    return [*_counted(generations), _times(generations), _ratings(generations), _throughput(items)]


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def last_days(days: int = DAYS) -> tuple[date, date]:
    """Return the first and the last of the last so many days."""
    today = timezone.localdate()
    return today - timedelta(days=days - 1), today


def _counted(generations: QuerySet[Generation]) -> list[Figure]:
    """Return the figures that count answers, out of one reading of them all: they are grouped, and added up here."""
    tokens = Coalesce("prompt_tokens", 0) + Coalesce("reasoning_tokens", 0) + Coalesce("answer_tokens", 0)
    # Only these sentences are of a kind: others tell times and lengths.
    cause = Case(
        When(status__in=(Status.FAILED, Status.FILTERED), then="error"), default=Value(""), output_field=TextField()
    )
    thought = [Count("pk", filter=Q(reasoning_tokens__gte=low, reasoning_tokens__lt=high)) for low, high in THOUGHT]
    groups = (
        generations.annotate(day=TruncDate("created_at"), cause=cause)
        .values_list("day", "model", "status", "cause")
        .order_by()
        .annotate(
            answers=Count("pk"),
            spent=Sum(tokens),
            **{f"thought_{number}": count for number, count in enumerate(thought)},
        )
    )
    answers, spent = Counter(), Counter()
    for day, model, status, told, count, tokens_of_all, *by_length in groups:
        live = status in LIVE
        answers.update({("day", day): count, ("failed", day): count if status == Status.FAILED else 0})
        answers.update({("model", model): count, ("cause", told): count, ("outcome", status): 0 if live else count})
        answers.update({("thought", number): of_length for number, of_length in enumerate(by_length)})
        spent[model] += tokens_of_all
    people = generations.annotate(day=TruncDate("created_at")).values_list("day").order_by("day")
    days = [
        (day.isoformat(), answers["day", day], persons, answers["failed", day])
        for day, persons in people.annotate(Count("owner", distinct=True))
    ]
    models = [(name, count, round(spent[name] / count)) for name, count in _most(answers, "model") if name]
    outcomes = [(Status(status).label, count) for status, count in _most(answers, "outcome")]
    causes = [(sentence, count) for sentence, count in _most(answers, "cause") if sentence]
    lengths = [
        (f"{low:,} to {high:,}" if high < 2**31 else f"{low:,} and more", answers["thought", number])
        for number, (low, high) in enumerate(THOUGHT)
    ]
    return [
        Figure("days", "Answers a day", ("Day", "Answers", "People", "Failed"), days, drawn=1),
        Figure("models", "Answers by model", ("Model", "Answers", "Tokens each"), models, drawn=1),
        Figure("outcomes", "How answers ended", ("Outcome", "Answers"), outcomes, drawn=1),
        Figure("failures", "Why answers failed", ("What people were told", "Answers"), causes[:20], drawn=1),
        Figure("thinking", "How long models think", ("Tokens", "Answers"), lengths if days else [], drawn=1),
    ]


def _most(answers: Counter, kind: str) -> list[tuple[str, int]]:
    """Return (what, how many) of one kind, the most first."""
    found = [(what, count) for (of, what), count in answers.items() if of == kind and count]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _times(generations: QuerySet[Generation]) -> Figure:
    took = {
        "From the question to the first thought": F("first_thought_at") - F("created_at"),
        "From the question to the answer": F("first_answer_at") - F("created_at"),
        "From the start to the end": F("finished_at") - F("started_at"),
    }
    measured = generations.annotate(**{f"took_{number}": each for number, each in enumerate(took.values())})
    columns = [f"took_{number}" for number in range(len(took))]
    percentiles = _by_function if connection.vendor == "postgresql" else _by_sorting
    found = [(label, *pair) for label, pair in zip(took, percentiles(measured, columns), strict=True)]
    return Figure("times", "Seconds", ("What", "Median", "95 of 100 are quicker than"), found)


def _by_function(measured: QuerySet[Generation], columns: list[str]) -> list[tuple[float | None, float | None]]:
    """Return median and 95th percentile of each column, a duration, in seconds: PostgreSQL has a function for them."""
    inner, parameters = measured.order_by().values_list(*columns).query.sql_with_params()
    wanted = ", ".join(f"percentile_disc(array[0.5, 0.95]) within group (order by {column})" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"select {wanted} from ({inner}) as durations", parameters)  # noqa: S608  (Django's own text)
        return [tuple(map(_seconds, found or (None, None))) for found in cursor.fetchone()]


def _by_sorting(measured: QuerySet[Generation], columns: list[str]) -> list[tuple[float | None, float | None]]:
    """Return the same where there is no function: two rows of the sorted durations are read."""
    found = []
    for column in columns:
        durations = measured.filter(**{f"{column}__isnull": False}).values_list(column, flat=True).order_by(column)
        count = durations.count()
        pair = [durations[int(count * share)] for share in (0.5, 0.95)] if count else (None, None)
        found.append(tuple(map(_seconds, pair)))
    return found


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds(), 1)


def _ratings(generations: QuerySet[Generation]) -> Figure:
    rated = generations.filter(message__feedback__isnull=False).values(rating=F("message__feedback__rating"))
    counted = rated.order_by("rating").annotate(answers=Count("pk"), tokens=Avg(Cast("reasoning_tokens", FloatField())))
    found = [
        (rating, answers, round(mean or 0))
        for rating, answers, mean in counted.values_list("rating", "answers", "tokens")
    ]
    return Figure("ratings", "Thinking and rating", ("Rating", "Answers", "Tokens of thinking, mean"), found, drawn=2)


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
