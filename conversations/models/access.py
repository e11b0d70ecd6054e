"""Which models people may use, and how much of them in a day: both can depend on the groups that they are in."""

from collections.abc import Iterable
from typing import Any, Protocol

from django.conf import settings
from django.contrib.auth.models import Group

from conversations.models.usage import DailyLimit


class Member(Protocol):
    """Somebody with groups: a user, or a conversation for its owner."""

    @property
    def group_names(self) -> frozenset[str]: ...


def allowed_models(member: Member) -> dict[str, Any]:
    """Return the part of the registry that a person may use; one query for each `member` if models have groups."""
    models = settings.MODELS
    if not any(model.groups for model in models.values()):
        return models
    names = member.group_names
    return {pk: model for pk, model in models.items() if not model.groups or not names.isdisjoint(model.groups)}


def daily_limits(member: Member, models: Iterable[Any]) -> list[DailyLimit]:
    """Return the limits of a person's day that questions to these models count against: first that of all models.

    One query for each `member` if a limit depends on groups.
    """
    found = [DailyLimit(settings.USER_DAILY_TOKENS)] if settings.USER_DAILY_TOKENS else []
    for model in models:
        groups = member.group_names if model.daily_tokens_of_groups else frozenset()
        of_groups = (tokens for name, tokens in model.daily_tokens_of_groups.items() if name in groups)
        if tokens := max((model.daily_tokens, *of_groups)):
            found.append(DailyLimit(tokens, model.id, model.label))
    return found


def missing_groups() -> list[str]:
    """Return the names of groups that the registry has and the database does not; one query if it has any."""
    named = {name for model in settings.MODELS.values() for name in (*model.groups, *model.daily_tokens_of_groups)}
    return sorted(named.difference(Group.objects.filter(name__in=named).values_list("name", flat=True)))
