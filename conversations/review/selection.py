"""Which conversations a reviewer means: by what is known of them without reading."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from conversations.models import Conversation, Feedback, Generation, User
from conversations.review.models import QueueItem

# What each criterion asks of one and the same answer of the conversation.
OF_AN_ANSWER = {
    "model": lambda value: Q(model=value),
    "outcome": lambda value: Q(status=value),
    "tokens": lambda value: Q(tokens__gte=value),
    "seconds": lambda value: Q(took__gte=timedelta(seconds=value)),
}


def select(reviewer: User, criteria: Mapping[str, Any]) -> QuerySet[Conversation]:
    """Return the conversations in a reviewer's field that meet all criteria, newest first, their titles unread.

    `criteria`: owner (user name), group, since and until (dates of the last change), model, outcome, tokens and seconds
    (at least; of one answer), verdict, feedback. What is None or '' is no criterion.
    """
    given = {name: value for name, value in criteria.items() if value not in (None, "")}
    found = Conversation.objects.reviewable_by(reviewer).newest_first().defer("title")
    if owner := given.get("owner"):
        found = found.filter(owner__username=owner)
    if group := given.get("group"):
        found = found.filter(Exists(group.user_set.filter(pk=OuterRef("owner"))))
    if since := given.get("since"):
        found = found.filter(updated_at__date__gte=since)
    if until := given.get("until"):
        found = found.filter(updated_at__date__lte=until)
    if asked := [OF_AN_ANSWER[name](value) for name, value in given.items() if name in OF_AN_ANSWER]:
        answers = Generation.objects.filter(conversation=OuterRef("pk")).annotate(
            tokens=Coalesce("prompt_tokens", 0) + Coalesce("reasoning_tokens", 0) + Coalesce("answer_tokens", 0),
            took=F("finished_at") - F("started_at"),
        )
        found = found.filter(Exists(answers.filter(*asked)))
    if verdict := given.get("verdict"):
        found = found.filter(pk__in=QueueItem.objects.filter(verdict=verdict).values("conversation"))
    if feedback := given.get("feedback"):
        found = found.filter(pk__in=Feedback.objects.filter(rating=feedback).values("conversation"))
    return found
