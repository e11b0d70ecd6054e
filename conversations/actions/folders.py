"""Folders, and where conversations are in their owner's list. None of it concerns reviewers.

A legal hold allows it, like pinning: nothing that it protects is deleted or overwritten.
"""

import uuid
from collections.abc import Collection

from django.db import IntegrityError, transaction

from conversations import limits
from conversations.actions.refusals import Refused
from conversations.actions.rows import lock_user
from conversations.events import Topic, publish
from conversations.models import Conversation, Folder, User
from conversations.models.conversation import ConversationQuerySet, Placement
from conversations.models.folder import key_of

TAKEN = "You have a folder with this name. Choose another name."


def create_folder(*, user: User, name: str) -> Folder:
    """Create an empty folder. Raises `Refused`."""
    try:
        with transaction.atomic():
            lock_user(user.pk)
            if Folder.objects.visible_to(user).count() >= limits.FOLDERS:
                raise Refused(f"You have {limits.FOLDERS} folders. Delete one, then try again.")
            return Folder.objects.create(owner=user, name=name, key=key_of(name))
    except IntegrityError as error:
        raise Refused(TAKEN) from error


def rename_folder(*, folder: Folder, name: str) -> None:
    """Rename a folder. Raises `Refused` if the user has another one with this name."""
    try:
        with transaction.atomic():
            Folder.objects.filter(pk=folder.pk).update(name=name, key=key_of(name))
    except IntegrityError as error:
        raise Refused(TAKEN) from error


def delete_folder(*, folder: Folder) -> None:
    """Delete a folder. Its conversations stay, also those that were deleted and can be restored.

    They can be many, so nothing is published: pages that are open show the folder until they are loaded again.
    """
    with transaction.atomic():
        list(Folder.objects.select_for_update().filter(pk=folder.pk).values_list("pk"))  # see `move`
        inside = Conversation.with_deleted.filter(folder=folder)
        list(inside.select_for_update().order_by("pk").values_list("pk"))
        inside.update(folder=None)
        Folder.objects.filter(pk=folder.pk).delete()


def move(*, user: User, ids: Collection[uuid.UUID], folder: Folder | None) -> int:
    """Move a user's conversations into a folder of theirs, or out of any; return the number of those that exist.

    Raises `Folder.DoesNotExist`.
    """
    with transaction.atomic():
        if folder:
            Folder.objects.visible_to(user).select_for_update().get(pk=folder.pk)  # else it could be deleted meanwhile
        return _update(user, Conversation.objects.visible_to(user).filter(pk__in=ids), folder=folder)


def archive_several(*, user: User, ids: Collection[uuid.UUID], archived: bool) -> int:
    """Do what `archive` does with several of a user's conversations; return how many have changed."""
    found = Conversation.objects.visible_to(user).filter(pk__in=ids)
    with transaction.atomic():
        if archived:
            return _update(user, found.exclude(placement=Placement.ARCHIVED), placement=Placement.ARCHIVED)
        return _update(user, found.filter(placement=Placement.ARCHIVED), placement=Placement.LISTED)


def _update(user: User, conversations: ConversationQuerySet, **columns: object) -> int:
    ids = list(conversations.select_for_update().order_by("pk").values_list("pk", flat=True))
    Conversation.objects.filter(pk__in=ids).update(**columns)
    for pk in ids:
        publish(Topic.LIST_CHANGED, user.pk, pk)
    return len(ids)
