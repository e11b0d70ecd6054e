"""The storage for attached files, which STORAGE_URL names: one place for all replicas, tied to their database.

Its errors are translated here, whatever library they come from:

StorageError
└── NotThisStorage    it is another site's, or not the one that this site has used so far
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, cast

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.crypto import salted_hmac

from chatsite.identity import NoToken
from conversations.models import Site, StoredFile

MARKER = "site"  # the name of the file that says whose storage it is
# Whose errors are those of the storage. By name: to import one of these takes as long as to import Django.
LIBRARIES = frozenset({"azure", "boto3", "botocore", "s3transfer"})


class _Stream(io.RawIOBase):
    """A file object that reads from an iterator of bytes, once and from the start."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset or whence != io.SEEK_SET or self.position:  # some storages do this first
            raise io.UnsupportedOperation("seek")
        return 0

    def read(self, size: int = -1) -> bytes:
        """Return exactly `size` bytes, fewer only at the end: some storages take a short read for the end."""
        found = [self._rest]
        length = len(self._rest)
        while size < 0 or length < size:
            part = next(self._parts, None)
            if part is None:
                break
            found.append(part)
            length += len(part)
        data = b"".join(found)
        end = len(data) if size < 0 else size
        taken, self._rest = data[:end], data[end:]
        self.position += len(taken)
        return taken


class StorageError(Exception):
    """The storage cannot be read or written. The message is for operators and has no content."""


class NotThisStorage(StorageError):
    pass


def claim_storage() -> None:
    """Check that the storage is this site's, and mark an empty one as such. Raises `StorageError`.

    Every replica does so at its start, one at a time: one that sees no marker after another has written it does not
    share its storage.
    """
    with transaction.atomic():
        site = Site.objects.select_for_update().get()
        found = _read_marker()
        # Keys that are being replaced count too.
        earlier = [_mark(site, key) for key in settings.SECRET_KEY_FALLBACKS]
        if found is not None and found not in (_mark(site), *earlier):
            raise NotThisStorage(
                "it has the files of another site. A copy of a site needs a copy of its files."
                " If this is the same site with a new SECRET_KEY, run `manage.py check_files --adopt`"
            )
        if found is None and site.has_storage:
            raise NotThisStorage("it does not have the files of this site. All replicas must share one storage")
        if found != _mark(site):
            mark_storage(site)
        if not site.has_storage:
            Site.objects.update(has_storage=True)


def mark_storage(site: Site) -> None:
    """Write the marker that makes the storage this site's."""
    with _translated():
        default_storage.delete(MARKER)
        default_storage.save(MARKER, ContentFile(_mark(site).encode()))


def write(stored: StoredFile, file: File, picture: bytes = b"") -> None:
    """Write a file and, of an image, its picture. Raises `StorageError`."""
    with _translated():
        default_storage.save(stored.file_name, file)
        if picture:
            default_storage.save(stored.picture_name, ContentFile(picture))


def write_stream(name: str, parts: Iterator[bytes]) -> int:
    """Write a file from an iterator, without keeping it in memory; return its size in bytes. Raises `StorageError`.

    What `parts` raises is raised too. In both cases, a part of the file may have been written.
    """
    stream = _Stream(parts)
    with _translated():
        default_storage.save(name, File(cast(IO[bytes], stream), name))
    return stream.position


def delete_files(names: Iterable[str]) -> None:
    """Delete files by their names; what is not there is deleted already. Raises `StorageError`."""
    with _translated():
        for name in names:
            default_storage.delete(name)


def delete(stored: StoredFile) -> None:
    """Delete both files; what is not there is deleted already. Raises `StorageError`."""
    delete_files([stored.file_name, stored.picture_name])


def open_file(name: str) -> File:
    """Open a file of the storage to read it. Raises `StorageError`."""
    with _translated():
        file = default_storage.open(name)
        file.read(0)  # some storages read only now
        return file


def read_picture(stored: StoredFile) -> bytes:
    """Return the picture of an image. Raises `StorageError`."""
    with _translated(), default_storage.open(stored.picture_name) as file:
        data: bytes = file.read()
        return data


def file_size(name: str) -> int | None:
    """Return the size of a file in bytes, None if the storage does not have it. Raises `StorageError`."""
    with _translated():
        return default_storage.size(name) if default_storage.exists(name) else None


def _mark(site: Site, key: str | None = None) -> str:
    """Return what marks this site's storage. A restored copy with a key of its own is another site, as on Redis."""
    return salted_hmac("storage", site.uuid.hex, key, algorithm="sha256").hexdigest()


def _read_marker() -> str | None:
    with _translated():
        if not default_storage.exists(MARKER):
            return None
        with default_storage.open(MARKER) as file:
            return bytes(file.read(100)).decode(errors="replace")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        library = type(error).__module__.partition(".")[0]
        if not isinstance(error, OSError | SuspiciousOperation | NoToken) and library not in LIBRARIES:
            raise
        raise StorageError(f"{type(error).__name__}: {error}") from error
