"""What the tenant's app roles give on this site, and take when it takes them away."""

import logging
from collections.abc import Iterable

from django.contrib.auth.models import Group

from conversations.models import User
from conversations.review import audit, grants

logger = logging.getLogger(__name__)

# The `value` of each app role. A reviewer works in the administration, so that role gives staff status too.
STAFF = "Staff"
REVIEWER = "Reviewer"  # also the name of the group that migration 0005 made


def apply(user: User, roles: Iterable[str], *, address: str) -> None:
    """Make a saved account's staff status and membership of `Reviewer` what the roles say; in the caller's transaction.

    Membership is written into the audit trail, as any grant of review is.
    """
    held = set(roles)
    is_staff = bool(held & {STAFF, REVIEWER})
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])
        logger.info("the tenant has %s staff status: user %s", "given" if is_staff else "taken", user.pk)
    group = Group.objects.filter(name=REVIEWER).first()
    if group is None:
        if REVIEWER in held:
            logger.error("there is no group %r any more: nobody becomes a reviewer by the tenant's word", REVIEWER)
        return
    is_reviewer = user.groups.filter(pk=group.pk).exists()
    with grants.on_behalf_of(audit.Actor(address=address, name="Entra ID")):
        if REVIEWER in held and not is_reviewer:
            user.groups.add(group)
        elif is_reviewer and REVIEWER not in held:
            user.groups.remove(group)
