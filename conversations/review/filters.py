"""Find conversations by metadata, without reading their content."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce

from chatsite.time_zones import LAST_DAY, start_of_day
from conversations.models import Conversation, Feedback, Generation, User
from conversations.models.conversation import ConversationQuerySet
from conversations.review.models import QueueItem

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
            tokens=Coalesce("prompt_tokens", 0) + Coalesce("reasoning_tokens", 0) + Coalesce("answer_tokens", 0),
            duration=F("finished_at") - F("started_at"),
        )
        found = found.filter(Exists(generations.filter(*conditions)))
    if verdict := given.get("verdict"):
        found = found.filter(pk__in=QueueItem.objects.filter(verdict=verdict).values("conversation"))
    if feedback := given.get("feedback"):
        found = found.filter(pk__in=Feedback.objects.filter(rating=feedback).values("conversation"))
    return found
