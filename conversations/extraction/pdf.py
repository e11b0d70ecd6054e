"""Read the text of PDF files. pypdf runs nothing and fetches nothing; it has limits of its own for single streams."""

from typing import BinaryIO, Final

from pypdf import PdfReader, overwrite_configuration
from pypdf.errors import PyPdfError

from conversations.extraction.output import Output
from conversations.extraction.result import DAMAGED, LimitReached, Limits, Unreadable

PROTECTED: Final = "This PDF is protected with a password. Save a copy without one, and attach that."
NO_PAGES: Final = "This PDF has no pages. Open it in another program, save it again, and attach that."
NO_TEXT: Final = (
    "This PDF has no text: its pages are pictures. Run text recognition on it first, or attach the pages as images."
)
# What pypdf raises for damaged pages: "broken PDF files might cause other exceptions" than its own.
_DAMAGE: Final = (PyPdfError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def read(file: BinaryIO, output: Output, limits: Limits) -> None:
    """Add the text of each page below a heading with its number."""
    overwrite_configuration(jbig2dec_binary=None)  # the only program that pypdf would run
    reader = PdfReader(file)
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable(PROTECTED)
    number_of_pages = len(reader.pages)
    if number_of_pages == 0:
        raise Unreadable(NO_PAGES)
    damaged = empty = read = 0
    for page in reader.pages[: limits.pages]:
        read += 1
        try:
            text = page.extract_text().strip()
        except _DAMAGE:
            damaged += 1
        else:
            empty += not text
            output.add(f"## Page {read}\n\n{text}\n\n" if text else "")
    if damaged == read:
        raise Unreadable(DAMAGED)
    if damaged + empty == read:
        raise Unreadable(NO_TEXT)
    notices = []
    if read < number_of_pages:
        notices.append(f"Only the first {read:,} of {number_of_pages:,} pages were read.")
    if damaged:
        notices.append(f"{_pages(damaged)} could not be read.")
    if empty:
        notices.append(f"{_pages(empty)} had no text.")
    if notices:
        raise LimitReached(" ".join(notices))


def _pages(number: int) -> str:
    return "1 page" if number == 1 else f"{number:,} pages"
