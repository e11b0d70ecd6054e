"""Record every change of review permissions, wherever it is made: in the administration, a shell, a fixture."""

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
CHANGES = {"post_add": "given", "post_remove": "taken", "post_clear": "all taken"}  # as stored in the audit trail

UNKNOWN = audit.System()

_actor: ContextVar[audit.Actor | audit.System] = ContextVar("actor", default=UNKNOWN)


@contextmanager
def made_by(actor: audit.Actor | audit.System) -> Iterator[None]:
    """Record changes inside this block as made by `actor`; without it, they are recorded without a name."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def record_scope_change(*, user: User) -> None:
    """Record that a user can from now on review only certain groups, or everyone."""
    _record([user], "limited" if user.review_limited else "unlimited", [])


@receiver(m2m_changed, dispatch_uid="grants")
def record_relation_change(
    sender: type[models.Model], instance: Any, action: str, reverse: bool, model: Any, pk_set: Any, **_kwargs
) -> None:
    """Record review permissions, and groups that have or limit them, that were added or removed."""
    if sender not in RELATIONS or action not in CHANGES:
        return
    others = list(model._default_manager.filter(pk__in=pk_set or ()))
    granted, holders = ([instance], others) if reverse else (others, [instance])
    granted = [item for item in granted if _concerns_review(sender, item)]
    if (granted and holders) or action == "post_clear":
        _record(holders, CHANGES[action], granted)


def _concerns_review(relation: type[models.Model], granted: Permission | Group) -> bool:
    if isinstance(granted, Permission):
        return granted.codename in REVIEW and granted.content_type.app_label == "conversations"
    if relation is User.review_groups.through:
        return True
    permissions = granted.permissions.select_related("content_type")
    return any(_concerns_review(relation, permission) for permission in permissions)


def _record(holders: list[Any], change: str, granted: list[Any]) -> None:
    to = [f"{holder._meta.model_name} {holder.pk}" for holder in holders]
    things = [item.codename if isinstance(item, Permission) else f"group {item.pk}" for item in granted]
    audit.record(_actor.get(), AuditAction.PERMISSIONS_CHANGED, to=to, change=change, things=things)
