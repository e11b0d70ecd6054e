"""Find conversations by metadata, and describe them by it, without reading their content."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from chatsite.time_zones import LAST_DAY, start_of_day
from conversations.models import Conversation, Feedback, Generation, Message, Rating, Role, Status, User
from conversations.models.conversation import ConversationQuerySet
from conversations.review.models import QueueItem

MAX_SORTED = 1_000  # conversations: what another order would need of all of them grows with the site
RATINGS = {Rating.GOOD: "Good", Rating.BAD: "Poor", Rating.REPORT: "Reported"}
TOKENS = Coalesce("prompt_tokens", 0) + Coalesce("reasoning_tokens", 0) + Coalesce("answer_tokens", 0)
# Conditions that one and the same generation of the conversation must meet.
GENERATION_CONDITIONS = {
    "model": lambda value: Q(model=value),
    "outcome": lambda value: Q(status=value),
    "tokens": lambda value: Q(tokens__gte=value),
    "seconds": lambda value: Q(duration__gte=timedelta(seconds=value)),
}


def filter_conversations(reviewer: User, criteria: Mapping[str, Any]) -> ConversationQuerySet:
    """Return the conversations this reviewer can review that meet all criteria, newest first, without titles.

    `criteria`: owner (username), group, since and until (days of the last change, in the current time zone), model,
    outcome, tokens and seconds (minimum, of one generation), verdict, feedback. None and "" are ignored.
    """
    given = {name: value for name, value in criteria.items() if value not in (None, "")}
    found = Conversation.objects.reviewable_by(reviewer).newest_first().defer("title")
    if owner := given.get("owner"):
        found = found.filter(owner__username=owner)
    if group := given.get("group"):
        found = found.filter(Exists(group.user_set.filter(pk=OuterRef("owner"))))
    if since := given.get("since"):
        found = found.filter(updated_at__gte=start_of_day(since))
    if until := given.get("until"):
        found = found.filter(updated_at__lt=start_of_day(min(until, LAST_DAY) + timedelta(days=1)))
    if conditions := [build(given[name]) for name, build in GENERATION_CONDITIONS.items() if name in given]:
        generations = Generation.objects.filter(conversation=OuterRef("pk")).annotate(
            tokens=TOKENS, duration=F("finished_at") - F("started_at")
        )
        found = found.filter(Exists(generations.filter(*conditions)))
    if verdict := given.get("verdict"):
        found = found.filter(pk__in=QueueItem.objects.filter(verdict=verdict).values("conversation"))
    if feedback := given.get("feedback"):
        found = found.filter(pk__in=Feedback.objects.filter(rating=feedback).values("conversation"))
    return found


def _of_each(rows: QuerySet, total: Any) -> Coalesce:
    """Return the total of a conversation's `rows`, as a subquery."""
    found = rows.filter(conversation=OuterRef("pk")).order_by().values("conversation")
    return Coalesce(Subquery(found.annotate(total=total).values("total")), 0)


# What lists can be sorted by, the highest first.
SORTS = {
    "created": F("created_at"),
    "questions": _of_each(Message.objects.filter(role=Role.USER), Count("pk")),
    "tokens": _of_each(Generation.objects.all(), Sum(TOKENS)),
}


def sort(found: ConversationQuerySet, by: str) -> ConversationQuerySet:
    """Order the first `MAX_SORTED` of these conversations by one of `SORTS`."""
    first = Conversation.objects.filter(pk__in=found.values("pk")[:MAX_SORTED]).defer("title")
    return first.annotate(amount=SORTS[by]).order_by("-amount", "-updated_at", "-id")


@dataclass(slots=True)
class Summary:
    """What lists show of a conversation: its newest answer's outcome and model, its questions and tokens, feedback."""

    conversation: Conversation
    questions: int = 0
    tokens: int = 0
    is_estimated: bool = False
    outcome: str = ""
    model: str = ""
    ratings: list[tuple[str, int]] = field(default_factory=list)  # each rating that was given, and how often


def summaries(conversations: Sequence[Conversation]) -> list[Summary]:
    """Return a summary of each of these conversations; four queries, whatever their number."""
    by_id = {conversation.pk: Summary(conversation) for conversation in conversations}
    questions = Message.objects.filter(conversation__in=by_id, role=Role.USER).order_by().values_list("conversation")
    for pk, number in questions.annotate(Count("pk")):
        by_id[pk].questions = number
    newest: dict[int, UUID] = {}
    sums = Generation.objects.filter(conversation__in=by_id).order_by().values_list("conversation")
    estimates = Count("pk", filter=Q(tokens_estimated=True))
    for pk, tokens, estimated, last in sums.annotate(tokens=Sum(TOKENS), estimates=estimates, last=Max("pk")):
        by_id[pk].tokens, by_id[pk].is_estimated, newest[last] = tokens, bool(estimated), pk
    for last, status, model in Generation.objects.filter(pk__in=newest).values_list("pk", "status", "model"):
        by_id[newest[last]].outcome, by_id[newest[last]].model = Status(status).label, model
    given: dict[UUID, dict[str, int]] = defaultdict(dict)
    feedback = Feedback.objects.filter(conversation__in=by_id).order_by().values_list("conversation", "rating")
    for pk, rating, number in feedback.annotate(Count("pk")):
        given[pk][rating] = number
    for pk, numbers in given.items():
        by_id[pk].ratings = [(label, numbers[rating]) for rating, label in RATINGS.items() if rating in numbers]
    return list(by_id.values())
