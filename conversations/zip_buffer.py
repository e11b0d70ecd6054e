import io
from typing import Any


class ZipBuffer(io.RawIOBase):
    """A file for `zipfile` to write to. `take` returns what has been written since the last call, and forgets it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data
