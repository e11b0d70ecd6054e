"""Which models people may use: those without groups, and those of a group that they are in."""

from typing import Any, Protocol

from django.conf import settings


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
