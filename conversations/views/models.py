"""What staff sees of the site's models: limits, state, and how the latest answers of each went."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from conversations.inference.registry import Model, Models
from conversations.models import Depth, Generation, Status
from conversations.models.access import missing_groups
from conversations.request import SignedInRequest

LATEST = 1_000  # answers of the whole site that are looked at
FAILURES = 5  # shown of each model
COLUMNS = (
    "model",
    "status",
    "started_at",
    "first_thought_at",
    "first_answer_at",
    "finished_at",
    "error",
    "endpoint_error",
)


@dataclass(frozen=True, slots=True)
class Report:
    """A model of the registry, or one that only answers or questions have, with how its latest answers went."""

    model_id: str
    model: Model | None
    latest: Sequence[Generation]  # newest first
    waiting: int

    @property
    def state(self) -> str:
        if self.model is None:
            return "Not among this site's models"
        if not self.latest:
            return "No recent answers"
        return "The last answer failed" if self.latest[0].status == Status.FAILED else "Answering"

    @property
    def depths(self) -> str:
        return ", ".join(str(Depth(depth).label) for depth in self.model.depths) if self.model else ""

    @property
    def daily_limits(self) -> list[tuple[int, str]]:
        """Return the tokens a day, with the group that has them or "" for all people."""
        if self.model is None:
            return []
        common = [(self.model.daily_tokens, "")] if self.model.daily_tokens else []
        return common + [(tokens, group) for group, tokens in self.model.daily_tokens_of_groups.items()]

    @property
    def failures(self) -> list[Generation]:
        return [each for each in self.latest if each.status == Status.FAILED]

    @property
    def newest_failures(self) -> list[Generation]:
        return self.failures[:FAILURES]

    @property
    def first_text(self) -> float | None:
        """Return the median seconds from the claim to the first reasoning or word."""
        return _median(
            (first - each.started_at).total_seconds()
            for each in self.latest
            if each.started_at and (first := each.first_thought_at or each.first_answer_at)
        )

    @property
    def whole(self) -> float | None:
        """Return the median seconds of answers that are complete."""
        return _median(
            (each.finished_at - each.started_at).total_seconds()
            for each in self.latest
            if each.status == Status.COMPLETE and each.started_at and each.finished_at
        )


@login_required
@require_safe
def show(request: SignedInRequest) -> HttpResponse:
    """Show staff the models. Nobody else learns that there is such a page. Two queries for any number of models."""
    if not request.user.is_staff:
        raise Http404
    latest: dict[str, list[Generation]] = defaultdict(list)
    ended = Generation.objects.exclude(finished_at=None).exclude(model="").order_by("-finished_at").only(*COLUMNS)
    for generation in ended[:LATEST]:
        latest[generation.model].append(generation)
    queued = Generation.objects.filter(status=Status.QUEUED).values_list("model").annotate(Count("pk")).order_by()
    waiting = dict(queued)
    models: Models = settings.MODELS
    ids = [*models, *sorted((latest.keys() | waiting.keys()) - models.keys() - {""})]
    reports = [Report(pk, models.get(pk), latest[pk], waiting.get(pk, 0)) for pk in ids]
    context = {"reports": reports, "number": LATEST, "missing_groups": missing_groups()}
    return render(request, "conversations/models.html", context)


def _median(values: Any) -> float | None:
    found = list(values)
    return median(found) if found else None
