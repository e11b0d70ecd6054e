"""Apply the roles that a provider gives."""

import logging
from collections.abc import Iterable

from django.contrib.auth.models import Group

from conversations.models import User
from conversations.review import audit, permission_changes

logger = logging.getLogger(__name__)

# In Entra ID, the `value` of each app role. Reviewers work in the administration, so that role gives staff status too.
STAFF = "Staff"
REVIEWER = "Reviewer"  # also the name of the group that migration 0005 created


def apply(user: User, roles: Iterable[str], *, provider: str, address: str) -> None:
    """Set a saved user's staff status and membership of `Reviewer` from the roles, in the caller's transaction.

    A change of membership is recorded in the audit trail, with the name of the provider and the IP
    address of the request.
    """
    held = set(roles)
    is_staff = bool(held & {STAFF, REVIEWER})
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])
        logger.info("%s has %s staff status: user %s", provider, "granted" if is_staff else "revoked", user.pk)
    group = Group.objects.filter(name=REVIEWER).first()
    if group is None:
        if REVIEWER in held:
            logger.error("the group %r does not exist: the role of that name has no effect", REVIEWER)
        return
    is_reviewer = user.groups.filter(pk=group.pk).exists()
    with permission_changes.made_by(audit.System(provider, address)):
        if REVIEWER in held and not is_reviewer:
            user.groups.add(group)
        elif is_reviewer and REVIEWER not in held:
            user.groups.remove(group)
