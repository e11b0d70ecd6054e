"""Write the archives that people have asked for, and delete those that have expired.

Every step can be repeated: if a process dies, the next round of any process does the rest. A process claims an archive
by its `attempt`, and renews its lease every `BEAT_SECONDS`; after `LEASE_SECONDS` without that, another takes over.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from django.db import Error, transaction
from django.db.models import F, Q
from django.utils import timezone

from chatsite.outages import is_outage
from conversations import storage
from conversations.archives.content import archive_parts
from conversations.models import Archive, ArchiveState, User
from conversations.models.archive import expiry
from conversations.rounds import repeat

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
LEASE_SECONDS = 60
ATTEMPTS = 5
BATCH = 100
FAILED = "The archive could not be created. Try again; if it fails again, tell the people who run this site."
UNAVAILABLE = "The archive could not be created: the site’s storage is not available. Try again later."


class Lost(Exception):
    """This process is ending, or the archive is no longer its own."""


async def run() -> None:
    """Write archives and delete expired ones, again and again, one at a time."""
    stopping = threading.Event()
    try:
        await repeat("archives", do_round, stopping)
    finally:
        stopping.set()  # a thread is not cancelled with its task


def do_round(stopping: threading.Event) -> None:
    """Delete expired archives, requeue those of dead processes, and write one. Raises `StorageError`."""
    _delete()
    _release()
    if claimed := _claim():
        _write(*claimed, stopping)


def _delete() -> None:
    now = timezone.now()
    idle = Archive.objects.exclude(state=ArchiveState.WRITING)  # a process that writes one has to stop first
    idle.filter(expires_at__lt=now).exclude(state=ArchiveState.DELETING).update(state=ArchiveState.DELETING)
    for archive in idle.filter(Q(owner=None) | Q(state=ArchiveState.DELETING))[:BATCH]:
        storage.delete_files(archive.file_names)
        rows = Archive.objects.filter(pk=archive.pk)
        if archive.owner_id is None or archive.expires_at < now:
            rows.delete()
        else:  # it counts for its owner's limit
            rows.filter(state=ArchiveState.DELETING).update(state=ArchiveState.DELETED)


def _release() -> None:
    """Requeue archives whose process has died, or mark them as failed after `ATTEMPTS`."""
    before = timezone.now() - timedelta(seconds=LEASE_SECONDS)
    dead = Archive.objects.filter(Q(beat_at__lt=before), state=ArchiveState.WRITING)
    dead.filter(owner=None).update(state=ArchiveState.DELETING)
    dead.filter(attempt__gte=ATTEMPTS).update(state=ArchiveState.FAILED, error=FAILED, finished_at=timezone.now())
    dead.filter(attempt__lt=ATTEMPTS).update(state=ArchiveState.QUEUED)


def _claim() -> tuple[Archive, User] | None:
    """Take the archive that has waited longest; return it with its owner."""
    queued = Archive.objects.filter(state=ArchiveState.QUEUED).exclude(owner=None)
    for archive in queued.order_by("created_at").select_related("owner")[:BATCH]:
        if archive.owner is None:
            continue
        claimed = {"state": ArchiveState.WRITING, "attempt": F("attempt") + 1, "beat_at": timezone.now()}
        if queued.filter(pk=archive.pk, attempt=archive.attempt).update(**claimed):
            archive.attempt += 1
            return archive, archive.owner
    return None


def _write(archive: Archive, owner: User, stopping: threading.Event) -> None:
    """Write an archive that this process has claimed, and store the outcome in its row. Raises `StorageError`."""
    mine = Archive.objects.filter(pk=archive.pk, state=ArchiveState.WRITING, attempt=archive.attempt)
    try:
        storage.delete_files(archive.file_names)  # of earlier attempts
        parts = _with_beats(archive_parts(owner, reasoning=archive.reasoning), archive, stopping)
        size = storage.write_stream(archive.file_name, parts)
        earlier = Archive.objects.filter(owner=owner, state=ArchiveState.READY)
        now = timezone.now()
        ready = {"state": ArchiveState.READY, "size": size, "finished_at": now, "expires_at": expiry()}
        with transaction.atomic():
            if not mine.exclude(owner=None).update(**ready):
                raise Lost
            earlier.exclude(pk=archive.pk).update(state=ArchiveState.DELETING)
    except Lost:
        mine.filter(owner=None).update(state=ArchiveState.DELETING)
        mine.update(state=ArchiveState.QUEUED)
        _discard(archive)
    except storage.StorageError:
        # It is tried again when the lease is over: until then, the storage may be back.
        _discard(archive)
        if archive.attempt >= ATTEMPTS:
            mine.update(state=ArchiveState.FAILED, error=UNAVAILABLE, finished_at=timezone.now())
        raise
    except Exception as error:
        if isinstance(error, Error) and is_outage(error):
            raise  # as above
        logger.exception("archive %s failed", archive.pk)
        _discard(archive)
        mine.update(state=ArchiveState.FAILED, error=FAILED, finished_at=timezone.now())


def _discard(archive: Archive) -> None:
    """Delete what this attempt has written: a full storage needs the room."""
    with contextlib.suppress(storage.StorageError):  # then the row's deletion does it
        storage.delete_files([archive.file_name])


def _with_beats(parts: Iterator[bytes], archive: Archive, stopping: threading.Event) -> Iterator[bytes]:
    """Yield `parts`, and renew the lease every `BEAT_SECONDS`. Raises `Lost`."""
    mine = Archive.objects.filter(pk=archive.pk, state=ArchiveState.WRITING, attempt=archive.attempt)
    beat_at = time.monotonic()
    for part in parts:
        if stopping.is_set():
            raise Lost
        if time.monotonic() - beat_at >= BEAT_SECONDS:
            beat_at = time.monotonic()
            if not mine.exclude(owner=None).update(beat_at=timezone.now()):
                raise Lost
        if part:
            yield part
