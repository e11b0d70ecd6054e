"""Usage figures: tables, with bars, that show counts and no content.

Past days are counted once and stored (`DailyCounts`), so that the cost of a long period depends on its days instead of
its answers, and figures remain when retention deletes conversations.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    Case,
    Count,
    DurationField,
    Exists,
    F,
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
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from chatsite.time_zones import site_day
from conversations.figure import Figure
from conversations.models import DailyUsage, Depth, Generation, Rating, Status, User
from conversations.models.generation import LIVE, label_of
from conversations.models.usage import TOKENS
from conversations.review.models import DailyCounts, QueueItem, Verdict

DEFAULT_DAYS = 30
REASONING_RANGES = ((0, 100), (100, 500), (500, 2_000), (2_000, 10_000), (10_000, 2**31))  # tokens, upper end excluded
MAX_ERRORS = 20
DAY_COLUMNS = ("Day", "Answers", "People", "Failed", "Repeated themselves")
DURATIONS = {
    "Question to first reasoning": ("created_at", "first_thought_at"),
    "Question to start of answer": ("created_at", "first_answer_at"),
    "Start to end of generation": ("started_at", "finished_at"),
}
# Of those, what is also shown by model and depth.
DEPTH_COLUMNS = (
    *("Model", "Depth", "Answers", "Failed"),
    *("First reasoning: median", "95th percentile", "Start of answer: median", "95th percentile"),
)
DEPTH_TIMES = 2
Counts = dict[str, Any]  # of one day, as in `DailyCounts.counts`; see `_count`


class TenthsOfSecond(Func):
    """A duration rounded to tenths of a second: as precise as the figures, with few distinct values to group by."""

    output_field = IntegerField()
    template = "cast(extract(epoch from %(expressions)s)::float8 * 10 as integer)"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        template = "cast(round((%(expressions)s) / 100000.0) as integer)"
        return self.as_sql(compiler, connection, template=template, **context)


def build(reviewer: User, since: date, until: date) -> list[Figure]:
    """Return all figures about the conversations this reviewer can review, for the days from `since` to `until`."""
    with timezone.override(None):  # days are the site's, for every reviewer
        return _build(reviewer, since, until)


def _build(reviewer: User, since: date, until: date) -> list[Figure]:
    generations = Generation.objects.all()
    usage = DailyUsage.objects.filter(day__range=(since, until))
    if reviewer.review_limited:
        generations = generations.filter(Exists(reviewer.review_groups.filter(user=OuterRef("owner"))))
        usage = usage.filter(Exists(reviewer.review_groups.filter(user=OuterRef("user"))))
        counts = _count(_between(generations, since, until))
        items = QueueItem.objects.reviewable_by(reviewer)
    else:
        counts = _stored_counts(since, until)
        items = QueueItem.objects.all()  # also verdicts on answers that have been deleted
    days = _days(since, min(until, site_day()))  # a day that has not begun is not a day without answers
    return [
        *_answers(counts, days),
        _tokens(usage, days),
        _durations(counts.values()),
        _depths(counts.values()),
        *_ratings(_between(generations, since, until)),
        _reviews(items, since, until),
    ]


def last_days(days: int = DEFAULT_DAYS) -> tuple[date, date]:
    """Return the first and the last day of a period of so many days that ends today."""
    today = site_day()
    return today - timedelta(days=days - 1), today


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=number) for number in range((until - since).days + 1)]


def _between(rows: QuerySet, since: date, until: date, column: str = "created_at") -> QuerySet:
    period = {f"{column}__gte": _midnight(since), f"{column}__lt": _midnight(until + timedelta(days=1))}
    return rows.filter(**period)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _stored_counts(since: date, until: date) -> dict[date, Counts]:
    """Return the counts of each day that has any; count and store past days that are not stored yet."""
    zone, today = timezone.get_current_timezone_name(), site_day()
    known = dict(DailyCounts.objects.filter(zone=zone, day__range=(since, until)).values_list("day", "counts"))
    if missing := [day for day in _days(since, min(until, today)) if day not in known]:
        counted = _count(_between(Generation.objects.all(), missing[0], missing[-1]))
        known |= {day: counted.get(day, {}) for day in missing}
        complete = [day for day in missing if day < today and not known[day].get("live")]
        rows = [DailyCounts(zone=zone, day=day, counts=known[day]) for day in complete]
        DailyCounts.objects.bulk_create(rows, ignore_conflicts=True)
    return {day: counts for day, counts in sorted(known.items()) if counts}


def _count(generations: QuerySet[Generation]) -> dict[date, Counts]:
    """Return the counts of each day that has generations.

    `people`: number of owners; `repeated`: answers whose model repeated itself while thinking; `live`: generations that
    have not ended; `answers`: [model, status, error, answers, tokens, answers in each of `REASONING_RANGES`] for each
    combination of the first three; `times`: for each of `DURATIONS`, pairs of tenths of a second and answers;
    `depths`: [model, depth, answers, failed, pairs as in `times` for each of the first two] for each of both.
    """
    counts: dict[date, Counts] = defaultdict(lambda: {"people": 0, "repeated": 0, "live": 0})
    groups: dict[date, dict[tuple[str, ...], Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    times = defaultdict[date, list[Counter[int]]](lambda: [Counter() for _ in DURATIONS])
    depths = defaultdict[date, dict[tuple[str, str], list[Any]]](
        lambda: defaultdict(lambda: [0, 0, *([] for _ in range(DEPTH_TIMES))])
    )
    generations = generations.annotate(day=TruncDate("created_at")).order_by()
    tokens = Coalesce("prompt_tokens", 0) + Coalesce("reasoning_tokens", 0) + Coalesce("answer_tokens", 0)
    # Only these errors can be grouped: others contain times and lengths.
    error = Case(
        When(status__in=(Status.FAILED, Status.FILTERED), then="error"), default=Value(""), output_field=TextField()
    )
    ranges = {
        f"range_{number}": Count("pk", filter=Q(reasoning_tokens__gte=low, reasoning_tokens__lt=high))
        for number, (low, high) in enumerate(REASONING_RANGES)
    }
    grouped = generations.annotate(cause=error).values_list("day", "depth", "model", "status", "cause")
    for day, depth, model, status, cause, *numbers in grouped.annotate(
        answers=Count("pk"), tokens=Sum(tokens), **ranges
    ):
        groups[day][model, status, cause].update(dict(enumerate(numbers)))
        counts[day]["live"] += numbers[0] if status in LIVE else 0
        depths[day][model, depth or ""][0] += numbers[0]
        depths[day][model, depth or ""][1] += numbers[0] if status == Status.FAILED else 0
    owners = Count("owner", distinct=True)
    repeated = Count("pk", filter=Q(repetition_at__isnull=False))
    for day, people, number in generations.values_list("day").annotate(owners, repeated=repeated):
        counts[day] |= {"people": people, "repeated": number}
    for index, (start, end) in enumerate(DURATIONS.values()):
        measured = generations.exclude(**{start: None}).exclude(**{end: None})
        measured = measured.annotate(tenths=TenthsOfSecond(Cast(F(end) - F(start), DurationField())))
        of_tenths = measured.values_list("day", "model", "depth", "tenths").annotate(answers=Count("pk"))
        for day, model, depth, tenths, answers in of_tenths:
            times[day][index][tenths] += answers
            if index < DEPTH_TIMES:
                depths[day][model, depth or ""][2 + index].append([tenths, answers])
    for day, of_day in counts.items():
        of_day["answers"] = [
            [*group, *(numbers[column] for column in range(2 + len(REASONING_RANGES)))]
            for group, numbers in groups[day].items()
        ]
        of_day["times"] = [[list(pair) for pair in counter.items()] for counter in times[day]]
        of_day["depths"] = [[*group, *of_depth] for group, of_depth in depths[day].items()]
    return dict(sorted(counts.items()))


def _answers(counts: dict[date, Counts], days: list[date]) -> list[Figure]:
    """Return the figures that count answers: one has a row for each of the days, if there are any answers."""
    per_day, lengths = dict.fromkeys(days if counts else [], (0, 0, 0, 0)), [0] * len(REASONING_RANGES)
    models, model_tokens, outcomes, errors = (Counter[str]() for _ in range(4))
    for day, of_day in counts.items():
        total = failed = 0
        for model, status, error, answers, tokens, *by_length in of_day["answers"]:
            total += answers
            failed += answers if status == Status.FAILED else 0
            models[model] += answers
            model_tokens[model] += tokens
            errors[error] += answers
            if status not in LIVE:
                outcomes[Status(status).label] += answers
            lengths = [before + more for before, more in zip(lengths, by_length, strict=True)]
        # Days that an earlier version counted have no number of repetitions.
        per_day[day] = (total, of_day["people"], failed, of_day.get("repeated", 0))
    tokens_per_answer = [(label_of(model), n, round(model_tokens[model] / n)) for model, n in _most_common(models)]
    ranges = [f"{low:,} to {high:,}" if high < 2**31 else f"{low:,} or more" for low, high in REASONING_RANGES]
    reasoning = list(zip(ranges, lengths, strict=True)) if counts else []
    rows = [(day.isoformat(), *numbers) for day, numbers in per_day.items()]
    return [
        Figure("days", "Answers per day", DAY_COLUMNS, rows, 1),
        Figure("models", "Answers by model", ("Model", "Answers", "Tokens per answer"), tokens_per_answer, 1),
        Figure("outcomes", "Outcomes", ("Outcome", "Answers"), _most_common(outcomes), 1),
        Figure("failures", "Why answers failed", ("Error message", "Answers"), _most_common(errors)[:MAX_ERRORS], 1),
        Figure("thinking", "Length of reasoning", ("Reasoning tokens", "Answers"), reasoning, 1),
    ]


def _most_common(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return (name, count), highest count first, then by name; without the empty name."""
    named = [(name, count) for name, count in counts.items() if name and count]
    return sorted(named, key=lambda pair: (-pair[1], pair[0]))


def _durations(counts: Iterable[Counts]) -> Figure:
    tenths = [Counter[int]() for _ in DURATIONS]
    for of_day in counts:
        for counter, pairs in zip(tenths, of_day["times"], strict=True):
            counter.update(dict(pairs))
    rows = [
        (label, _percentile(counter, 0.5), _percentile(counter, 0.95))
        for label, counter in zip(DURATIONS, tenths, strict=True)
    ]
    return Figure("times", "Response times (seconds)", ("Period", "Median", "95th percentile"), rows)


def _depths(counts: Iterable[Counts]) -> Figure:
    """Return use, failures and response times by model and depth."""
    found: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, 0, *(Counter[int]() for _ in range(DEPTH_TIMES))])
    for of_day in counts:
        # Days that an earlier version counted have none.
        without = [[model, "", n, n * (status == Status.FAILED)] for model, status, _, n, *_ in of_day["answers"]]
        for model, depth, answers, failed, *times in of_day.get("depths", without):
            totals = found[model, depth]
            totals[0] += answers
            totals[1] += failed
            for counter, pairs in zip(totals[2:], times, strict=False):
                counter.update(dict(pairs))
    rows = [
        (
            *_model_and_depth(*group),
            *totals[:2],
            *(_percentile(counter, n) for counter in totals[2:] for n in (0.5, 0.95)),
        )
        for group, totals in sorted(found.items(), key=lambda item: _order(*item[0]))
    ]
    return Figure("depths", "Models and depths (times in seconds)", DEPTH_COLUMNS, rows, 2)


def _order(model: str, depth: str) -> tuple[str, int]:
    return model, ["", *Depth.values].index(depth)


def _model_and_depth(model: str, depth: str) -> tuple[str | None, str | None]:
    return label_of(model) or None, str(Depth(depth).label) if depth else None


def _percentile(tenths: Counter[int], share: float) -> float | None:
    """Return the seconds that this share of the counted tenths of a second does not exceed; None if there are none."""
    found = _at_share(tenths, share)
    return None if found is None else found / 10


def _at_share(counts: Counter[int], share: float) -> int | None:
    """Return the value that this share of the counted values does not exceed; None if there are none."""
    remaining = share * counts.total()
    for value in sorted(counts):
        remaining -= counts[value]
        if remaining <= 0:
            return value
    return None


def _tokens(usage: QuerySet[DailyUsage], days: list[date]) -> Figure:
    """Return the tokens of each day and model, also of answers and accounts that have been deleted since."""
    by_day: dict[date, list[tuple[Any, ...]]] = {day: [] for day in days}
    sums = usage.values_list("day", "model").annotate(*(Sum(name) for name in TOKENS)).order_by("day", "model")
    for day, model, *tokens in sums:
        by_day.setdefault(day, []).append((label_of(model), sum(tokens), *tokens))
    none = [(None, 0, *(0 for _ in TOKENS))]
    rows = [(day.isoformat(), *row) for day, found in by_day.items() for row in found or none] if sums else []
    return Figure("tokens", "Tokens per day", ("Day", "Model", "Tokens", "Input", "Reasoning", "Output"), rows, 2)


def _ratings(generations: QuerySet[Generation]) -> list[Figure]:
    """Return how long answers of each rating were thought about: in all, and by model and depth. One query."""
    rated = generations.filter(message__feedback__isnull=False).order_by()
    grouped = rated.values_list("model", "depth", "message__feedback__rating", "reasoning_tokens")
    in_all = defaultdict[str, Counter[int | None]](Counter)
    by_depth = defaultdict[tuple[str, str, str], Counter[int | None]](Counter)
    for model, depth, rating, tokens, answers in grouped.annotate(answers=Count("pk")):
        in_all[rating][tokens] += answers
        by_depth[model, depth or "", rating][tokens] += answers
    rows = [(str(Rating(rating).label), *_tokens_of_rated(counted)) for rating, counted in sorted(in_all.items())]
    depth_rows = [
        (*_model_and_depth(model, depth), str(Rating(rating).label), *_tokens_of_rated(counted))
        for (model, depth, rating), counted in sorted(
            by_depth.items(), key=lambda item: (_order(*item[0][:2]), item[0])
        )
    ]
    columns = ("Rating", "Answers", "Mean reasoning tokens", "Median reasoning tokens")
    by_depth_title = "Reasoning and rating by model and depth"
    return [
        Figure("ratings", "Reasoning and rating", columns, rows, 3),
        Figure("depth-ratings", by_depth_title, ("Model", "Depth", *columns), depth_rows, 5),
    ]


def _tokens_of_rated(counted: Counter[int | None]) -> tuple[int, int, int]:
    """Return the number of answers, and the mean and the median of their reasoning tokens, where these are known."""
    known = Counter({tokens: answers for tokens, answers in counted.items() if tokens is not None})
    mean = sum(tokens * answers for tokens, answers in known.items()) / (known.total() or 1)
    return counted.total(), round(mean), _at_share(known, 0.5) or 0


def _reviews(items: QuerySet[QueueItem], since: date, until: date) -> Figure:
    """Return the items added and resolved on each day, and the verdicts of those days."""
    by_day = {day: [0, 0] for day in _days(since, min(until, site_day()))}
    for index, column in enumerate(("created_at", "resolved_at")):
        counted = _between(items, since, until, column).annotate(day=TruncDate(column)).values_list("day")
        for day, number in counted.annotate(Count("pk")):
            by_day.setdefault(day, [0, 0])[index] = number  # it may be past midnight by now
    resolved = _between(items, since, until, "resolved_at").order_by().values_list("verdict")
    verdicts = dict(resolved.annotate(Count("pk")))
    summary = "; ".join(f"{label}: {verdicts[value]}" for value, label in Verdict.choices if value in verdicts)
    title = f"Reviews per day ({summary})" if summary else "Reviews per day"
    rows: list[tuple[Any, ...]] = [(day.isoformat(), *numbers) for day, numbers in by_day.items()]
    return Figure("reviews", title, ("Day", "Added", "Resolved"), rows if any(map(any, by_day.values())) else [], 2)
