"""The kinds of files, and the names that people give them."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a file contains. The values are stored."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CODE = "code"
    CSV = "csv"
    JSON = "json"
    HTML = "html"
    PDF = "pdf"
    WORD = "word"
    EXCEL = "excel"
    POWERPOINT = "powerpoint"
    IMAGE = "image"
    UNKNOWN = "unknown"  # always with a problem


# For the file picker of a browser. Other names are accepted too: the content decides.
FILE_NAME_ENDINGS: Final = (".pdf", ".docx", ".xlsx", ".pptx", ".png", ".jpg", ".jpeg", ".webp", ".gif")
