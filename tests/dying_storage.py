"""A folder for files at a site that kills itself, as `kill -9` would, at the stage that the file TEST_DIE_AT names."""

import os
import signal
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage


class DyingStorage(FileSystemStorage):
    def _save(self, name: str, content: Any) -> str:
        if name == "site":
            return super()._save(name, content)
        is_picture = name.startswith("pictures/")
        self._die_at("file written" if is_picture else "nothing written")
        saved = super()._save(name, content)
        if self._is_at("half written"):
            os.truncate(self.path(name), self.size(name) // 2)
            self._die_at("half written")
        if is_picture:
            self._die_at("all written")
        if name.startswith("archives/"):
            self._die_at("archive written")
        return saved

    def delete(self, name: str) -> None:
        if name.startswith("files/"):
            self._die_at("nothing deleted")
        super().delete(name)
        if name.startswith("archives/"):
            self._die_at("archive deleted")
        elif name != "site":
            self._die_at("half deleted")
        if name.startswith("pictures/"):
            self._die_at("all deleted")

    def _is_at(self, stage: str) -> bool:
        return Path(os.environ["TEST_DIE_AT"]).read_text() == stage

    def _die_at(self, stage: str) -> None:
        if self._is_at(stage):
            os.kill(os.getpid(), signal.SIGKILL)
