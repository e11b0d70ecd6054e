"""Open a file that somebody wants to import: a JSON file, or a ZIP of this kind of site or of ChatGPT.

Nothing of a ZIP is written to a path: its entries are found by what their names must look like, and read as streams.
"""

import errno
import hashlib
import lzma
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile

from chatsite.uploads import temporary_name
from conversations.importing.items import NotImportable, check_time, read_items
from conversations.importing.parsed import FileReference

# LZMA takes as much memory as a file says, up to 4 GB.
COMPRESSIONS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# `zipfile` reads the directory whole, and each entry takes several hundred bytes of memory.
DIRECTORY_BYTES: Final = 30_000_000
UNPACKED_BYTES: Final = 5_000_000_000  # of all conversations in a ZIP
CONVERSATIONS = re.compile(r"conversations/[0-9a-f-]{36}\.json|(?:[^/\\]{1,100}/)?conversations(?:[-_]\d{1,4})?\.json")
FILE = re.compile(r"files/([0-9a-f]{64})(?:\.[A-Za-z0-9]{1,10})?")
NOT_A_ZIP: Final = "The ZIP file is damaged, or encrypted."
UNUSUAL: Final = "The ZIP file is compressed in an unusual way. Unpack it, and make an ordinary ZIP file of it."
# What `zipfile` raises for damaged files. ValueError: for names that are not UTF-8, and for negative offsets.
ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, NotImplementedError, ValueError),
)


class _SmallReads:
    """A file of which at most `DIRECTORY_BYTES` can be read at once.

    That limits the directory, whatever a hostile file says of its size, in as many places as there are for it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY_BYTES:
            raise NotImportable("The ZIP file has too many entries.")
        return self._file.read(size)


class Opened:
    """What a file has: conversations and, in a ZIP, files by the SHA-256 of their content."""

    def __init__(self, file: IO[bytes], deadline: float = math.inf) -> None:
        """`deadline` is when reading raises `OutOfTime`, by the monotonic clock. Raises `NotImportable`."""
        self._file = file
        self._deadline = deadline
        self._archive: zipfile.ZipFile | None = None
        self._conversations: list[zipfile.ZipInfo] = []
        self._files: dict[str, zipfile.ZipInfo] = {}
        self.other_files = 0  # in the ZIP, that are not read
        file.seek(0)
        start = file.read(4)
        file.seek(0)
        if start == b"PK\x03\x04":
            with _translated():
                self._open_zip()

    def _open_zip(self) -> None:
        self._archive = zipfile.ZipFile(cast(IO[bytes], _SmallReads(self._file)))
        names: set[str] = set()
        for info in self._archive.infolist():
            if info.filename in names or info.is_dir():
                continue
            names.add(info.filename)
            if info.compress_type not in COMPRESSIONS:
                raise NotImportable(UNUSUAL)
            if found := FILE.fullmatch(info.filename):
                self._files.setdefault(found[1], info)
            elif CONVERSATIONS.fullmatch(info.filename):
                self._conversations.append(info)
            elif not info.filename.endswith((".html", ".json", ".css")):
                self.other_files += 1
        if not self._conversations:
            raise NotImportable("The ZIP file has no conversations that this site can read.")
        if sum(info.file_size for info in self._conversations) > UNPACKED_BYTES:
            raise NotImportable("The ZIP file is too large when unpacked.")

    def records(self) -> Iterator[dict[str, Any] | NotImportable]:
        """Yield each conversation as JSON, or why it is not valid. Raises `NotImportable` and `OutOfTime`."""
        if self._archive is None:
            yield from read_items(self._file, self._deadline)
            return
        for info in self._conversations:
            try:
                with _translated(), self._archive.open(info) as file:
                    yield from read_items(file, self._deadline)
            except NotImportable as error:
                yield error

    def has_file(self, reference: FileReference) -> bool:
        return reference.sha256 in self._files

    @contextmanager
    def read_file(self, reference: FileReference) -> Iterator[TemporaryUploadedFile]:
        """Give a file as if it had been uploaded. Raises `NotImportable` and `OutOfTime`."""
        check_time(self._deadline)
        info = self._files[reference.sha256]
        if self._archive is None or info.file_size > settings.FILE_BYTES:
            raise NotImportable("A file is too large.")
        name = temporary_name(reference.name)
        with TemporaryUploadedFile(name, "application/octet-stream", info.file_size, None) as upload:
            hashed, size = hashlib.sha256(), 0
            with _translated(), self._archive.open(info) as file:
                while block := file.read(256 * 1024):
                    size += len(block)
                    if size > settings.FILE_BYTES:
                        raise NotImportable("A file is too large.")
                    hashed.update(block)
                    upload.write(block)
            if hashed.hexdigest() != reference.sha256:
                raise NotImportable("A file is not the one that was exported.")
            upload.size = size
            upload.seek(0)
            yield upload


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        # Of the file are those without a number, and EINVAL, for an offset that no file can have.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise NotImportable(NOT_A_ZIP) from error
