"""A string that grows by appending."""

from bisect import bisect_right

from conversations.rendering.fragments import FRAME_CHARACTERS


class TextBuffer:
    """Append in constant time, and read from any offset. `pieces` have at most `FRAME_CHARACTERS` each."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._offsets = [0]  # of the first pieces and of their end; extended when an offset is needed

    def __str__(self) -> str:
        return "".join(self.pieces)

    def __len__(self) -> int:
        for piece in self.pieces[len(self._offsets) - 1 :]:
            self._offsets.append(self._offsets[-1] + len(piece))
        return self._offsets[-1]

    def append(self, text: str) -> None:
        for start in range(0, len(text), FRAME_CHARACTERS):
            self.pieces.append(text[start : start + FRAME_CHARACTERS])

    def after(self, offset: int) -> str:
        """Return the text after the first `offset` characters."""
        if offset >= len(self):
            return ""
        index = bisect_right(self._offsets, offset) - 1
        return "".join(self.pieces[index:])[offset - self._offsets[index] :]
