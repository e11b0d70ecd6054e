"""Deletions, undone deletions and folders at once, on PostgreSQL: `python -m tests.organised_at_once`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import django

if __name__ == "__main__":
    django.setup()

from django.db import connections
from django.utils import timezone

from conversations import actions, limits
from conversations.models import Conversation, Folder, User
from conversations.models.conversation import Placement
from tests.factories import person, queued

ROUNDS = 20


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Return the results, or the errors that the actions are said to raise."""

    def run(call: Callable[[], object]) -> object:
        try:
            return call()
        except (actions.Refused, Folder.DoesNotExist) as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def check_undo(ada: User) -> None:
    """Check that a deletion is undone or carried out, whichever is first, and what was said is so."""
    for _ in range(ROUNDS):
        conversation = queued(ada).conversation
        actions.delete(conversation=conversation)
        overdue = timezone.now() - timedelta(days=1)
        Conversation.with_deleted.filter(pk=conversation.pk).update(deleted_at=overdue)
        *purged, restored = at_once(
            actions.purge, actions.purge, lambda at=overdue: actions.restore(user=ada, deleted_at=at)
        )
        exists = Conversation.objects.filter(pk=conversation.pk).exists()
        assert (sum(purged), restored) == ((0, [conversation.pk]) if exists else (1, []))
        assert Conversation.with_deleted.filter(pk=conversation.pk).exists() is exists
        Conversation.objects.all().delete()


def check_folders(ada: User) -> None:
    """Check that nothing is left in a folder that is deleted, and that limits hold."""
    conversations = [Conversation.objects.create(owner=ada, title="x") for _ in range(5)]
    ids = [conversation.pk for conversation in conversations]
    for _ in range(ROUNDS):
        folder = actions.create_folder(user=ada, name="Trips")
        at_once(
            lambda folder=folder: actions.move(user=ada, ids=ids[:3], folder=folder),
            lambda folder=folder: actions.move(user=ada, ids=ids[::-1], folder=folder),
            lambda folder=folder: actions.delete_folder(folder=folder),
            lambda: actions.archive_several(user=ada, ids=ids[::-1], archived=True),
            lambda: actions.delete_several(user=ada, ids=ids),
        )
        assert not Folder.objects.exists()
        assert not Conversation.with_deleted.exclude(folder=None).exists()
        Conversation.with_deleted.update(deleted_at=None, placement=Placement.LISTED)
    names = [f"{number}" for number in range(limits.FOLDERS - 2)]
    Folder.objects.bulk_create(Folder(owner=ada, name=name, key=name) for name in names)
    at_once(*(lambda name=f"more {n}": actions.create_folder(user=ada, name=name) for n in range(10)))
    assert Folder.objects.count() == limits.FOLDERS


if __name__ == "__main__":
    someone = person("ada")
    check_undo(someone)
    check_folders(someone)
    someone.delete()
    assert not Folder.objects.exists()
