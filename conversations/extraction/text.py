"""Decode text files."""

import codecs
import re
from typing import BinaryIO, Final

from charset_normalizer import from_bytes

from conversations.extraction.output import Output
from conversations.extraction.result import LimitReached, Limits, Unreadable

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The encodings that browsers know and that are still in use, by their names in Python.
_LEGACY: Final = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
]
_SAMPLE_BYTES: Final = 2**16
_BINARY: Final = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")

NOT_TEXT: Final = (
    "This kind of file can't be read. Attach text, code, CSV, JSON, HTML, PDF, Word, Excel, PowerPoint, or an image."
)
UNKNOWN_ENCODING: Final = "The encoding of this text isn't recognised. Save it as UTF-8, and attach it again."


def read(file: BinaryIO, output: Output, limits: Limits) -> None:
    """Add the text of `file`."""
    text, complete = decoded(file, limits)
    output.add(text)
    if not complete:
        raise LimitReached(f"Only the first {len(text):,} characters were read.")


def decoded(file: BinaryIO, limits: Limits) -> tuple[str, bool]:
    """Return the text of `file`, and whether that is all of it. Raises Unreadable."""
    data = file.read(4 * limits.characters + 1)  # no encoding has more bytes to a character
    complete = not file.read(1)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode(data[len(mark) :], encoding, "replace", complete), complete
    if b"\0" in data:
        raise Unreadable(NOT_TEXT)
    try:
        return _decode(data, "utf-8", "strict", complete), complete
    except UnicodeDecodeError:
        return _decode(data, _legacy_encoding(data), "replace", complete), complete


def _decode(data: bytes, encoding: str, errors: str, complete: bool) -> str:
    """Decode `data`, whose last character may be cut off unless it is complete."""
    return codecs.getincrementaldecoder(encoding)(errors).decode(data, complete)


def _legacy_encoding(data: bytes) -> str:
    if _BINARY.search(data):
        raise Unreadable(NOT_TEXT)
    # Only lines that are not ASCII tell encodings apart.
    sample = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:_SAMPLE_BYTES]
    found = from_bytes(sample, cp_isolation=_LEGACY).best()
    if found is None:
        raise Unreadable(UNKNOWN_ENCODING)
    return found.encoding
