"""Read files that people attach: what they are, their text, and pictures made fit to be shown.

A pure library: it knows nothing of Django, and reads each file in a process of its own with limits (`process`).
"""

from conversations.extraction.kinds import FILE_NAME_ENDINGS, Kind
from conversations.extraction.process import extract
from conversations.extraction.result import Extracted, Limits, Picture

__all__ = ["FILE_NAME_ENDINGS", "Extracted", "Kind", "Limits", "Picture", "extract"]
