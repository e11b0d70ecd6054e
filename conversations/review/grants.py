"""To let somebody review is itself written down, however it comes about: in the administration, a shell, a fixture."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import models
from django.db.models.signals import m2m_changed
from django.dispatch import receiver

from conversations.models import User
from conversations.models.permissions import REVIEW
from conversations.review import audit
from conversations.review.models import AuditAction

RELATIONS = [
    relation.through for relation in (User.user_permissions, User.groups, User.review_groups, Group.permissions)
]
CHANGES = {"post_add": "given", "post_remove": "taken", "post_clear": "all taken"}

_actor: ContextVar[audit.Actor | None] = ContextVar("actor", default=None)


@contextmanager
def on_behalf_of(actor: audit.Actor) -> Iterator[None]:
    """Record grants within as made by `actor`; without this they are recorded as made outside the site."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def limit_changed(*, person: User) -> None:
    """Write down that somebody may from now on review only certain groups, or all."""
    _record([person], "limited" if person.review_limited else "unlimited", [])


@receiver(m2m_changed, dispatch_uid="grants")
def relation_changed(
    sender: type[models.Model], instance: Any, action: str, reverse: bool, model: Any, pk_set: Any, **_kwargs
) -> None:
    """Write down which review permissions, or groups that have or limit them, were given to whom."""
    if sender not in RELATIONS or action not in CHANGES:
        return
    others = list(model._default_manager.filter(pk__in=pk_set or ()))
    given, to = ([instance], others) if reverse else (others, [instance])
    given = [thing for thing in given if _is_of_review(sender, thing)]
    if (given and to) or action == "post_clear":
        _record(to, CHANGES[action], given)


def _is_of_review(relation: type[models.Model], thing: Permission | Group) -> bool:
    if isinstance(thing, Permission):
        return thing.codename in REVIEW and thing.content_type.app_label == "conversations"
    if relation is User.review_groups.through:
        return True
    return any(_is_of_review(relation, permission) for permission in thing.permissions.select_related("content_type"))


def _record(to: list[Any], change: str, given: list[Any]) -> None:
    def names(rows: list[Any]) -> list[str]:
        return [f"{row._meta.model_name} {row.pk}" for row in rows]

    things = [thing.codename if isinstance(thing, Permission) else f"group {thing.pk}" for thing in given]
    audit.record(_actor.get() or audit.Actor(), AuditAction.GRANTED, to=names(to), change=change, things=things)
