"""What is asked of a reading process, and what it returns."""

from dataclasses import dataclass
from typing import Final

from conversations.extraction.kinds import Kind

OUT_OF_MEMORY: Final = 3  # the exit status of a process
DAMAGED: Final = "This file is damaged. Open it in the program that made it, save it again, and attach that."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What reading one file may take. The defaults are the site's; tests use smaller ones."""

    reading_seconds: float = 10  # CPU time after which the text that has been read by then is the result
    cpu_seconds: int = 20  # after which there is no result
    wall_seconds: int = 30
    memory_bytes: int = 512 * 2**20
    characters: int = 1_000_000  # of the text
    pages: int = 1_000  # also slides
    sheets: int = 100
    cells: int = 200_000  # that are not empty
    # Office files are archives: all their members together.
    members: int = 10_000
    expanded_bytes: int = 200 * 2**20
    pixels: int = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image that was decoded and encoded again: upright, without metadata, at most 2,048 pixels wide and high."""

    data: bytes
    media_type: str  # image/png, image/jpeg or image/webp
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What was found in a file: a problem, or text, or a picture.

    `text` can be stored and shown: it has no NUL, no lone surrogate, no control character but tab and line feed, and no
    character that hides or reorders text. `notice` and `problem` are sentences for the owner of the file.
    """

    kind: Kind
    media_type: str = "application/octet-stream"  # found from the content, never from what the sender says
    text: str = ""
    notice: str = ""  # what was left out
    problem: str = ""  # why nothing could be read, and what the owner can do
    temporary: bool = False  # the same file may be read later: no process was free, or something else ended it
    width: int = 0  # of the original image, upright, in pixels
    height: int = 0
    picture: Picture | None = None


class Unreadable(Exception):
    """The file cannot be read. The message is a `problem`."""


class LimitReached(Exception):
    """The rest of the file is left out. The message is a `notice`."""
