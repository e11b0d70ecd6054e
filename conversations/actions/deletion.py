"""Delete conversations: hidden at once, restored if their owner undoes it in time, and then deleted."""

import logging
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from chatsite.outages import describe, is_outage
from conversations import limits
from conversations.actions.questions import stop
from conversations.actions.rows import delete_row, lock_unless_held, lock_user, refuse_if_held
from conversations.events import Topic, publish
from conversations.inference.allowance import add_usage_so_far
from conversations.models import Conversation, Generation, LegalHold, User
from conversations.models.conversation import ConversationQuerySet, Placement

BATCH = 100
HELD = "You cannot delete this conversation yet"

logger = logging.getLogger(__name__)

_not_deletable: set[uuid.UUID] = set()  # conversations whose deletion has failed in this process


def delete(*, conversation: Conversation) -> datetime:
    """Hide a conversation and stop its live generations; `purge` deletes it. Raises `Held`.

    Return the moment, by which `restore` finds it.
    """
    with transaction.atomic():
        return _hide([lock_unless_held(conversation, HELD)])


def delete_several(*, user: User, ids: Collection[uuid.UUID]) -> tuple[datetime, int, int]:
    """Do the same with those of a user's conversations that no legal hold covers.

    Return the moment, the number of deleted conversations and that of those that must be kept.
    """
    with transaction.atomic():
        mine = Conversation.objects.visible_to(user).filter(pk__in=ids)
        found = list(mine.select_for_update().order_by("pk"))
        covering = LegalHold.objects.covering(OuterRef("pk"), OuterRef("owner"))
        held = set(mine.filter(Exists(covering)).values_list("pk", flat=True))
        deletable = [conversation for conversation in found if conversation.pk not in held]
        return _hide(deletable), len(deletable), len(found) - len(deletable)


def restore(*, user: User, deleted_at: datetime) -> list[uuid.UUID]:
    """Show again what a user deleted at this moment, and return the ids; none if it is too late.

    Answers stay stopped. Of pinned conversations, those beyond `limits.PINNED` are listed without a pin.
    """
    with transaction.atomic():
        lock_user(user.pk)  # as `pin` does
        deleted = Conversation.with_deleted.visible_to(user).filter(deleted_at=deleted_at)
        ids = list(deleted.select_for_update().order_by("pk").values_list("pk", flat=True))
        _show(user.pk, ids)
        pinned = Conversation.objects.visible_to(user).pinned().newest_first()
        if excess := list(pinned.values_list("pk", flat=True)[limits.PINNED :]):
            Conversation.objects.filter(pk__in=excess).update(placement=Placement.LISTED)
            _publish_changes(user.pk, excess)
    return ids


def purge() -> int:
    """Delete what was deleted longer than `settings.UNDO_SECONDS` ago, and return the number of conversations.

    One that a legal hold covers meanwhile is shown again. One that cannot be deleted is left to the next process.
    """
    due = Conversation.with_deleted.filter(deleted_at__lt=timezone.now() - timedelta(seconds=settings.UNDO_SECONDS))
    purged = 0
    for pk in due.exclude(pk__in=_not_deletable).order_by("deleted_at").values_list("pk", flat=True)[:BATCH]:
        try:
            purged += _purge(due.filter(pk=pk))
        except Exception as error:  # of any kind: it must not keep the others from being deleted, or end the process
            if is_outage(error):
                raise
            logger.error("conversation %s cannot be deleted: %s", pk, describe(error))
            _not_deletable.add(pk)
    return purged


def delete_at_once(*, conversation: Conversation) -> None:
    """Stop a conversation's live generations and delete it, hidden or not; it cannot be restored. Raises `Held`."""
    with transaction.atomic():
        locked = Conversation.with_deleted.select_for_update().get(pk=conversation.pk)
        refuse_if_held(locked, HELD)
        _delete_locked(locked)


def _purge(due: ConversationQuerySet) -> bool:
    with transaction.atomic():
        # Another process may be doing the same.
        skip_locked = connection.features.has_select_for_update_skip_locked
        conversation = due.select_for_update(skip_locked=skip_locked).first()
        if conversation is None:
            return False
        if LegalHold.objects.covering(conversation.pk, conversation.owner_id).exists():
            _show(conversation.owner_id, [conversation.pk])
            return False
        _delete_locked(conversation)
    return True


def _delete_locked(conversation: Conversation) -> None:
    for generation in conversation.generations.live():
        stop(generation=generation)
    # What `stop` has not ended is locked by it, so their workers cannot end them before they are deleted.
    for generation in conversation.generations.running():
        add_usage_so_far(generation)
    delete_row(conversation)
    _publish_changes(conversation.owner_id, [conversation.pk])


def _hide(conversations: list[Conversation]) -> datetime:
    """Hide conversations that the caller has locked. Their workers end the answers that are being written."""
    now = timezone.now()
    # In the order in which a commit of their worker locks them.
    for generation in Generation.objects.live().filter(conversation__in=conversations).order_by("pk"):
        stop(generation=generation)
    for conversation in conversations:
        _publish_changes(conversation.owner_id, [conversation.pk])
    Conversation.objects.filter(pk__in=[each.pk for each in conversations]).update(deleted_at=now)
    return now


def _show(owner_id: int, ids: list[uuid.UUID]) -> None:
    Conversation.with_deleted.filter(pk__in=ids).update(deleted_at=None)
    _publish_changes(owner_id, ids)


def _publish_changes(owner_id: int, ids: Collection[uuid.UUID]) -> None:
    for pk in ids:
        publish(Topic.CONVERSATION_CHANGED, pk)
        publish(Topic.LIST_CHANGED, owner_id, pk)
