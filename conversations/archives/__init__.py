"""Archives of everything that a person owns: requested on a page, written in the background, downloaded for a week."""

from conversations.archives.requests import PER_DAY, request_archive

__all__ = ["PER_DAY", "request_archive"]
