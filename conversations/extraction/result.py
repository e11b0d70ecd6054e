"""What is asked of a reading process, and what it returns."""

from dataclasses import dataclass

from conversations.extraction.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What reading one file may take. The defaults are the site's; tests use smaller ones."""

    cpu_seconds: int = 20
    # Then what has been read so far is the result, if the format allows it.
    reading_seconds: float = 12
    wall_seconds: int = 30
    memory_bytes: int = 512 * 2**20
    # Of the result.
    characters: int = 1_000_000
    pages: int = 1_000  # also slides
    sheets: int = 100
    cells: int = 200_000
    # Of Office files, which are archives: all members together, as they say and as they are.
    expanded_bytes: int = 200 * 2**20
    members: int = 10_000
    pixels: int = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image, decoded and encoded again: at most `MAX_SIDE` pixels wide and high, upright, without metadata."""

    data: bytes
    media_type: str  # image/png, image/jpeg or image/webp
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What was found in a file. Either there is a problem, or text, or a picture.

    `text` can be stored and shown: it has no NUL, no lone surrogate, no other control character than tab and line feed,
    and no character that reorders or hides text. `notice` and `problem` are sentences for the owner of the file.
    """

    kind: Kind
    media_type: str  # found from the content, never from the sender's claim
    text: str = ""
    notice: str = ""  # says what was left out, if not all was read
    problem: str = ""  # says why nothing could be read, and what the owner can do
    temporary: bool = False  # the same file may be read later: no process was free, or it was killed from outside
    picture: Picture | None = None
    width: int = 0  # of the original image, in pixels, upright
    height: int = 0
