"""Open the files of Word, Excel and PowerPoint: archives of XML parts that refer to each other.

The XML is read as a stream of events, with expat alone. Office Open XML has no document type definitions (ECMA-376,
part 2), so a file with one is refused: entities, which can expand without end or name other files, need one. Macros and
embedded files are parts that nothing here opens.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple
from xml.parsers import expat

from conversations.extraction.kinds import Kind
from conversations.extraction.result import DAMAGED, Limits, Unreadable

PROTECTED: Final = "This file is protected with a password. Save a copy without one, and attach that."
ARCHIVE: Final = "This is an archive. Unpack it, and attach the files in it."
TOO_LARGE: Final = "This file is too large when it is unpacked. Attach only the part of it that you need."
NOT_MODERN: Final = "This format of Excel can't be read. Save the file as an Excel workbook (.xlsx), and attach that."

_WORD: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml."
_EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_POWERPOINT: Final = "application/vnd.openxmlformats-officedocument.presentationml."
# Content types of main parts.
_KINDS: Final = {
    f"{_WORD}document.main+xml": Kind.WORD,
    f"{_WORD}template.main+xml": Kind.WORD,
    "application/vnd.ms-word.document.macroEnabled.main+xml": Kind.WORD,
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml": Kind.WORD,
    f"{_EXCEL}sheet.main+xml": Kind.EXCEL,
    f"{_EXCEL}template.main+xml": Kind.EXCEL,
    "application/vnd.ms-excel.sheet.macroEnabled.main+xml": Kind.EXCEL,
    "application/vnd.ms-excel.template.macroEnabled.main+xml": Kind.EXCEL,
    f"{_POWERPOINT}presentation.main+xml": Kind.POWERPOINT,
    f"{_POWERPOINT}slideshow.main+xml": Kind.POWERPOINT,
    f"{_POWERPOINT}template.main+xml": Kind.POWERPOINT,
    "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml": Kind.POWERPOINT,
    "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml": Kind.POWERPOINT,
    "application/vnd.ms-powerpoint.template.macroEnabled.main+xml": Kind.POWERPOINT,
}
# What the content is served as: never as a file with macros.
MEDIA_TYPES: Final = {
    Kind.WORD: f"{_WORD}document",
    Kind.EXCEL: f"{_EXCEL}sheet",
    Kind.POWERPOINT: f"{_POWERPOINT}presentation",
}
_BINARY_WORKBOOK: Final = "application/vnd.ms-excel.sheet.binary.macroEnabled.main"
_CHUNK_BYTES: Final = 2**16


class Event(NamedTuple):
    """The beginning of an element, its end, or text. Names are without namespaces, which two editions differ in."""

    start: str = ""
    end: str = ""
    text: str = ""
    attributes: dict[str, str] = {}


class Package:
    """An Office file, whose parts are read within the limits of `limits`. Raises Unreadable."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        try:
            self._archive = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise Unreadable(DAMAGED) from error
        members = self._archive.infolist()
        self._left = limits.expanded_bytes
        if len(members) > limits.members or sum(member.file_size for member in members) > self._left:
            raise Unreadable(TOO_LARGE)
        if any(member.flag_bits & 1 for member in members):
            raise Unreadable(PROTECTED)
        if not {member.compress_type for member in members} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise Unreadable(ARCHIVE)
        self._names = {member.filename for member in members}

    def main_part(self) -> tuple[str, Kind]:
        """Return the part that the document begins with, and the kind of document."""
        if "[Content_Types].xml" not in self._names:
            raise Unreadable(ARCHIVE)
        for event in self.events("[Content_Types].xml"):
            content_type = event.attributes.get("ContentType", "")
            if content_type == _BINARY_WORKBOOK:
                raise Unreadable(NOT_MODERN)
            kind = _KINDS.get(content_type)
            name = event.attributes.get("PartName", "").lstrip("/")
            if kind and name in self._names:
                return name, kind
        raise Unreadable(ARCHIVE)

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """Return the type (its last word) and the name of each part that `part` refers to, by id. Links are omitted."""
        folder, name = posixpath.split(part)
        relationships = posixpath.join(folder, "_rels", f"{name}.rels")
        if relationships not in self._names:
            return {}
        found = {}
        for event in self.events(relationships):
            attributes = event.attributes
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", ""))).lstrip("/")
            if event.start == "Relationship" and attributes.get("TargetMode") != "External" and target in self._names:
                found[attributes.get("Id", "")] = (posixpath.basename(attributes.get("Type", "")), target)
        return found

    def events(self, part: str) -> Iterator[Event]:
        """Yield what is in the XML of `part`."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        found: list[Event] = []
        parser.StartDoctypeDeclHandler = _refuse
        parser.StartElementHandler = lambda name, attributes: found.append(
            Event(start=_local(name), attributes={_local(key): value for key, value in attributes.items()})
        )
        parser.EndElementHandler = lambda name: found.append(Event(end=_local(name)))
        parser.CharacterDataHandler = lambda text: found.append(Event(text=text))
        try:
            for chunk in self._chunks(part):
                parser.Parse(chunk, not chunk)
                yield from found
                found.clear()
        except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise Unreadable(DAMAGED) from error

    def _chunks(self, part: str) -> Iterator[bytes]:
        """Yield the content of `part` in pieces, the last of which is empty."""
        with self._archive.open(part) as stream:
            chunk = b"-"
            while chunk:
                chunk = stream.read(_CHUNK_BYTES)
                self._left -= len(chunk)
                if self._left < 0:
                    raise Unreadable(TOO_LARGE)
                yield chunk


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _refuse(*_: object) -> None:
    raise Unreadable(DAMAGED)
