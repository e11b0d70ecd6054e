"""Delete files that nothing refers to any more, and those that were never sent or never written entirely.

Every step can be repeated: whatever a process that dies leaves undone, the next round of any process does.
"""

import contextlib
import time
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from conversations import storage
from conversations.models import Attachment, FileState, StoredFile, User

UNSENT_HOURS = 24  # that a file waits for its question
WRITING_HOURS = 1  # more than any upload takes: its process has died
BATCH = 100


def clean_up() -> None:
    """Do one round. Raises `StorageError`."""
    _delete_uploads()
    _expire_unsent()
    failure: storage.StorageError | None = None
    for stored in StoredFile.objects.filter(Q(released=True) | ~Q(state=FileState.STORED)).defer("text")[:BATCH]:
        if _is_deletable(stored):
            try:
                # Asked after this row is marked: of two that are deleted at once, the later one sees the other.
                if not stored.is_needed_by_others:
                    storage.delete(stored)
            except storage.StorageError as error:
                failure = error
            else:
                stored.delete()
    if failure:
        raise failure


def _is_deletable(stored: StoredFile) -> bool:
    """Return whether a file is to be deleted now. From then on, nobody can attach it."""
    if stored.state == FileState.DELETING:
        return True
    with transaction.atomic():
        # Locked before its attachments are counted: whoever attaches it again locks it too.
        skip_locked = connection.features.has_select_for_update_skip_locked
        rows = StoredFile.objects.select_for_update(skip_locked=skip_locked).defer("text")
        locked = rows.filter(pk=stored.pk, state=stored.state).first()
        if locked is None:
            return False
        if locked.state == FileState.WRITING and timezone.now() - locked.changed_at < timedelta(hours=WRITING_HOURS):
            return False
        if locked.attachments.exists():
            StoredFile.objects.filter(pk=stored.pk).update(released=False)
            return False
        StoredFile.objects.filter(pk=stored.pk).update(state=FileState.DELETING, changed_at=timezone.now())
    return True


def _expire_unsent() -> None:
    before = timezone.now() - timedelta(hours=UNSENT_HOURS)
    expired = Attachment.objects.unsent().filter(created_at__lt=before).unheld()
    if owners := list(expired.values_list("owner", flat=True).distinct()[:BATCH]):
        with transaction.atomic():
            # Placing a legal hold waits for this lock, or is seen by what follows.
            list(User.objects.select_for_update(no_key=True).filter(pk__in=owners).order_by("pk").values_list("pk"))
            expired.filter(owner__in=owners).delete()


def _delete_uploads() -> None:
    """Delete what uploads have left of processes that were killed."""
    before = time.time() - WRITING_HOURS * 60 * 60
    for path in settings.FILE_UPLOAD_TEMP_DIR.iterdir():
        with contextlib.suppress(FileNotFoundError):  # its upload has just ended
            if path.stat().st_mtime < before:
                path.unlink()
