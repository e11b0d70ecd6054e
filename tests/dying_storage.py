"""A folder for files at a site that kills itself, as `kill -9` would, at the stage that TEST_DIE_AT names."""

import os
import signal
from typing import Any

from django.core.files.storage import FileSystemStorage

# In this order; the first is also where a process is that dies while it reads the file.
STAGES = ("nothing written", "half written", "half deleted", "all deleted")


class DyingStorage(FileSystemStorage):
    def _save(self, name: str, content: Any) -> str:
        if name == "site":
            return super()._save(name, content)
        self._die_at("nothing written")
        if os.environ["TEST_DIE_AT"] == "half written":
            super()._save(name, content)
            os.truncate(self.path(name), self.size(name) // 2)
            self._die_at("half written")
        return super()._save(name, content)

    def delete(self, name: str) -> None:
        super().delete(name)
        if name != "site":
            self._die_at("half deleted")
        if name.startswith("pictures/"):
            self._die_at("all deleted")

    def _die_at(self, stage: str) -> None:
        if os.environ["TEST_DIE_AT"] == stage:
            os.kill(os.getpid(), signal.SIGKILL)
