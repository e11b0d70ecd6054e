"""Figures of use, counted in the database and drawn as SVG: what happened, never what was said.

Each figure is a table: column names, rows, and for a chart the column it draws. The same rows are offered as CSV. A
day is counted once, when it is over, and stored (`DailyCounts`): a year costs as much as its days, not its answers, and
figures outlast the conversations that retention deletes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import (
    Avg,
    Case,
    Count,
    DurationField,
    Exists,
    Expression,
    F,
    FloatField,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, TruncDate
from django.utils import timezone

from conversations.models import Generation, Rating, Status, User
from conversations.models.generation import LIVE
from conversations.review.models import DailyCounts, QueueItem, Verdict

DAYS = 30
# Of the drawing, in its own units: a bar's line, and the widest bar.
LINE = 18
WIDEST = 180
THOUGHT = ((0, 100), (100, 500), (500, 2_000), (2_000, 10_000), (10_000, 2**31))  # tokens, from and up to
TIMES = {
    "Question to first reasoning": ("created_at", "first_thought_at"),
    "Question to start of answer": ("created_at", "first_answer_at"),
    "Start to end of generation": ("started_at", "finished_at"),
}
Counts = dict[str, Any]  # of a day, as `DailyCounts` keeps them


class Tenths(Func):
    """Whole tenths of a second of a duration: no finer than they are shown, and few enough to be counted by."""

    output_field = IntegerField()

    def as_sql(self, *args: Any, **kwargs: Any) -> tuple[str, Any]:
        kwargs["template"] = "cast(extract(epoch from %(expressions)s)::float8 * 10 as integer)"
        return super().as_sql(*args, **kwargs)

    def as_sqlite(self, *args: Any, **kwargs: Any) -> tuple[str, Any]:
        return super().as_sql(*args, template="cast(round((%(expressions)s) / 100000.0) as integer)", **kwargs)


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
    generations, items = Generation.objects.all(), _between(QueueItem.objects.reviewable_by(reviewer), since, until)
    if reviewer.review_limited:
        generations = generations.filter(Exists(reviewer.review_groups.filter(user=OuterRef("owner"))))
        counts = _count(_between(generations, since, until))
    else:
        counts = _kept(since, until)
    ratings = _ratings(_between(generations, since, until))
    return [*_counted(counts), _times(counts.values()), ratings, _throughput(items)]


def _between(rows: QuerySet, since: date, until: date) -> QuerySet:
    return rows.filter(created_at__gte=_midnight(since), created_at__lt=_midnight(until + timedelta(days=1)))


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def last_days(days: int = DAYS) -> tuple[date, date]:
    """Return the first and the last of the last so many days."""
    today = timezone.localdate()
    return today - timedelta(days=days - 1), today


def _kept(since: date, until: date) -> dict[date, Counts]:
    """Return the counts of each day on which something was asked; what is counted of days that are over is kept."""
    zone, today = timezone.get_current_timezone_name(), timezone.localdate()
    known = dict(DailyCounts.objects.filter(zone=zone, day__range=(since, until)).values_list("day", "counts"))
    days = [since + timedelta(days=number) for number in range((min(until, today) - since).days + 1)]
    if missing := [day for day in days if day not in known]:
        fresh = _count(_between(Generation.objects.all(), missing[0], missing[-1]))
        known |= {day: fresh.get(day, {}) for day in missing}
        over = [day for day in missing if day < today and not known[day].get("live")]
        rows = [DailyCounts(zone=zone, day=day, counts=known[day]) for day in over]
        DailyCounts.objects.bulk_create(rows, ignore_conflicts=True)
    return {day: counts for day, counts in sorted(known.items()) if counts}


def _count(generations: QuerySet[Generation]) -> dict[date, Counts]:
    """Return, by day: `people`, how many answers are `live`, `answers` by what they have in common, `times`."""
    counts: dict[date, Counts] = defaultdict(
        lambda: {"people": 0, "live": 0, "answers": [], "times": [[] for _ in TIMES]}
    )
    generations = generations.annotate(day=TruncDate("created_at")).order_by()
    tokens = Coalesce("prompt_tokens", 0) + Coalesce("reasoning_tokens", 0) + Coalesce("answer_tokens", 0)
    # Only these sentences are of a kind: others tell times and lengths.
    cause = Case(
        When(status__in=(Status.FAILED, Status.FILTERED), then="error"), default=Value(""), output_field=TextField()
    )
    thought = [Count("pk", filter=Q(reasoning_tokens__gte=low, reasoning_tokens__lt=high)) for low, high in THOUGHT]
    groups = (
        generations.annotate(cause=cause)
        .values_list("day", "model", "status", "cause")
        .annotate(
            answers=Count("pk"),
            spent=Sum(tokens),
            **{f"thought_{number}": count for number, count in enumerate(thought)},
        )
    )
    for day, model, status, told, answers, *more in groups:
        counts[day]["answers"].append([model, status, told, answers, *more])
        counts[day]["live"] += answers if status in LIVE else 0
    for day, people in generations.values_list("day").annotate(Count("owner", distinct=True)):
        counts[day]["people"] = people
    for place, (begun, ended) in enumerate(TIMES.values()):
        measured = generations.exclude(**{begun: None}).exclude(**{ended: None}).annotate(took=_tenths(begun, ended))
        for day, tenths, answers in measured.values_list("day", "took").annotate(answers=Count("pk")):
            counts[day]["times"][place].append([tenths, answers])
    return dict(sorted(counts.items()))


def _tenths(begun: str, ended: str) -> Expression:
    return Tenths(Cast(F(ended) - F(begun), DurationField()))


def _counted(counts: dict[date, Counts]) -> list[Figure]:
    """Return the figures that count answers."""
    answers, spent = Counter(), Counter()
    for day, of_day in counts.items():
        for model, status, told, count, tokens, *by_length in of_day["answers"]:
            answers.update({("day", day): count, ("failed", day): count if status == Status.FAILED else 0})
            answers.update({("model", model): count, ("cause", told): count})
            answers["outcome", status] += 0 if status in LIVE else count
            answers.update({("thought", number): of_length for number, of_length in enumerate(by_length)})
            spent[model] += tokens
    days = [
        (day.isoformat(), answers["day", day], of_day["people"], answers["failed", day])
        for day, of_day in counts.items()
    ]
    models = [(name, count, round(spent[name] / count)) for name, count in _most(answers, "model") if name]
    outcomes = [(Status(status).label, count) for status, count in _most(answers, "outcome")]
    causes = [(sentence, count) for sentence, count in _most(answers, "cause") if sentence]
    lengths = [
        (f"{low:,} to {high:,}" if high < 2**31 else f"{low:,} or more", answers["thought", number])
        for number, (low, high) in enumerate(THOUGHT)
    ]
    return [
        Figure("days", "Answers per day", ("Day", "Answers", "People", "Failed"), days, drawn=1),
        Figure("models", "Answers by model", ("Model", "Answers", "Tokens per answer"), models, drawn=1),
        Figure("outcomes", "Outcomes", ("Outcome", "Answers"), outcomes, drawn=1),
        Figure("failures", "Why answers failed", ("Error message", "Answers"), causes[:20], drawn=1),
        Figure("thinking", "Length of reasoning", ("Reasoning tokens", "Answers"), lengths if days else [], drawn=1),
    ]


def _most(answers: Counter, kind: str) -> list[tuple[str, int]]:
    """Return (what, how many) of one kind, the most first."""
    found = [(what, count) for (of, what), count in answers.items() if of == kind and count]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _times(counts: Iterable[Counts]) -> Figure:
    taken = [Counter[int]() for _ in TIMES]
    for of_day in counts:
        for took, pairs in zip(taken, of_day["times"], strict=True):
            took.update(dict(pairs))
    found = [(label, _percentile(took, 0.5), _percentile(took, 0.95)) for label, took in zip(TIMES, taken, strict=True)]
    return Figure("times", "Response times (seconds)", ("Period", "Median", "95th percentile"), found)


def _percentile(took: Counter[int], share: float) -> float | None:
    """Return the seconds that so large a share did not exceed, of counted tenths; None of nothing."""
    left = share * took.total()
    for tenths in sorted(took):
        left -= took[tenths]
        if left <= 0:
            return tenths / 10
    return None


def _ratings(generations: QuerySet[Generation]) -> Figure:
    rated = generations.filter(message__feedback__isnull=False).values(rating=F("message__feedback__rating"))
    counted = rated.order_by("rating").annotate(answers=Count("pk"), tokens=Avg(Cast("reasoning_tokens", FloatField())))
    found = [
        (Rating(rating).label, answers, round(mean or 0))
        for rating, answers, mean in counted.values_list("rating", "answers", "tokens")
    ]
    return Figure("ratings", "Reasoning and rating", ("Rating", "Answers", "Mean reasoning tokens"), found, drawn=2)


def _throughput(items: QuerySet[QueueItem]) -> Figure:
    by_day: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for at, place in (("created_at", 0), ("resolved_at", 1)):
        days = items.exclude(**{at: None}).annotate(day=TruncDate(at)).values("day").annotate(items=Count("pk"))
        for day, count in days.values_list("day", "items"):
            by_day[day][place] = count
    verdicts = dict(items.exclude(verdict="").values_list("verdict").annotate(Count("pk")))
    told = "; ".join(f"{label}: {verdicts[value]}" for value, label in Verdict.choices if value in verdicts)
    rows: list[Sequence[Any]] = [(day.isoformat(), *counts) for day, counts in sorted(by_day.items())]
    title = f"Reviews per day ({told})" if told else "Reviews per day"
    return Figure("reviews", title, ("Day", "Added", "Resolved"), list(map(tuple, rows)), drawn=2)
