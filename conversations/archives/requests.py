from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from conversations.actions import Refused
from conversations.actions.rows import lock_user
from conversations.models import Archive, ArchiveState, User

PER_DAY = 3  # of one person


def request_archive(*, user: User, reasoning: bool) -> Archive:
    """Request an archive, with or without the reasoning. It is written in the background. Raises `Refused`."""
    day = timezone.now() - timedelta(days=1)
    try:
        with transaction.atomic():
            lock_user(user.pk)
            made = Archive.objects.visible_to(user).filter(created_at__gt=day).exclude(state=ArchiveState.FAILED)
            if made.count() >= PER_DAY:
                raise Refused(f"You can create {PER_DAY} archives in 24 hours. Download the last one, or wait.")
            return Archive.objects.create(owner=user, reasoning=reasoning)
    except IntegrityError as error:
        raise Refused("An archive is already in progress. Wait until it is ready.") from error
