"""Find out what a file is from its first bytes, and read it as that."""

import re
from importlib import import_module
from typing import BinaryIO, Final

from conversations.extraction import office
from conversations.extraction.kinds import TEXT_TYPES, Kind
from conversations.extraction.output import Output
from conversations.extraction.result import Extracted, LimitReached, Limits, Unreadable

EMPTY: Final = "This file is empty."
OLD_OFFICE: Final = (
    "This file is of an old Office format, or protected with a password. Save it as .docx, .xlsx or .pptx, without a"
    " password, and attach that."
)
OTHER_IMAGE: Final = "This image format can't be read. Save the image as PNG or JPEG, and attach that."
RICH_TEXT: Final = "Rich Text can't be read. Save the file as PDF or .docx, and attach that."

_PDF: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*%PDF-")
# The groups are atomic: many comments before something else would take exponential time.
_HTML: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?>(?><!--.{,500}?-->)\s*)*+<(?:!doctype\s+html|html[\s>])", re.I | re.S
)
# Pillow's names of the formats that browsers and models take.
_IMAGES: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_REFUSED: Final = (
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), OLD_OFFICE),
    (re.compile(rb"\{\\rtf"), RICH_TEXT),
    (re.compile(rb"II\*\0|MM\0\*|BM....\0\0\0\0|.{4}ftyp(?:heic|heix|mif1|msf1|avif)", re.S), OTHER_IMAGE),
    (re.compile(rb"\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ|.{257}ustar", re.S), office.ARCHIVE),
)
_HEAD_BYTES: Final = 2048
# Each is imported for files of its kind alone: a process reads one file.
_MODULES: Final = {
    Kind.HTML: "html",
    Kind.PDF: "pdf",
    Kind.WORD: "word",
    Kind.EXCEL: "excel",
    Kind.POWERPOINT: "powerpoint",
}


def identify(file: BinaryIO, named: Kind | None, limits: Limits) -> tuple[Kind, str]:
    """Return the kind and the media type of `file`. `named` is the kind of text that its name promises.

    Raises Unreadable if it is of no kind that can be read.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if not head.strip():
        raise Unreadable(EMPTY)
    if _PDF.match(head):
        return Kind.PDF, "application/pdf"
    if image_format := _image_format(head):
        return Kind.IMAGE, f"image/{image_format.lower()}"
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        _, kind = office.Package(file, limits).main_part()
        file.seek(0)
        return kind, office.MEDIA_TYPES[kind]
    for pattern, problem in _REFUSED:
        if pattern.match(head):
            raise Unreadable(problem)
    kind = named or (Kind.HTML if _HTML.match(head) else Kind.TEXT)
    return kind, TEXT_TYPES[kind]


def _image_format(head: bytes) -> str:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for beginning, name in _IMAGES if head.startswith(beginning)), "")


def read(file: BinaryIO, kind: Kind, media_type: str, limits: Limits) -> Extracted:
    """Return what is in `file`, which is of the given kind. Raises Unreadable, and whatever libraries raise."""
    if kind is Kind.IMAGE:
        from conversations.extraction import image  # and Pillow

        picture, width, height, notice = image.read(file, media_type.removeprefix("image/").upper(), limits)
        return Extracted(kind=kind, media_type=media_type, picture=picture, width=width, height=height, notice=notice)
    output, notice = Output(limits), ""
    try:
        import_module(f"conversations.extraction.{_MODULES.get(kind, 'text')}").read(file, output, limits)
    except LimitReached as reached:
        notice = str(reached)
    return Extracted(kind=kind, media_type=media_type, text=output.text(), notice=notice)
