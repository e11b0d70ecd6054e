from pathlib import Path
from typing import Any

from django.core.files.uploadhandler import TemporaryFileUploadHandler

ENDING_CHARACTERS = 20


class UploadHandler(TemporaryFileUploadHandler):
    """Django's, which gives its temporary file everything after the last dot of a name, for names of any length."""

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, temporary_name(file_name), *args, **kwargs)
        self.file.name = self.file_name = file_name


def temporary_name(name: str) -> str:
    """Return a name for a temporary file with the ending of `name`. Django and systems refuse some names."""
    return f"file{Path(name).suffix[:ENDING_CHARACTERS]}"
