"""A string that grows by appending."""

from bisect import bisect_right
from itertools import accumulate

from conversations.rendering.fragments import FRAME_CHARACTERS


class TextBuffer:
    """Append in constant time, and read from any offset. `pieces` have at most `FRAME_CHARACTERS` each."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._ends: list[int] = []  # end offsets of the first pieces; extended when an offset is needed

    def __str__(self) -> str:
        return "".join(self.pieces)

    def __len__(self) -> int:
        self._extend_ends()
        return self._ends[-1] if self._ends else 0

    def append(self, text: str) -> None:
        for start in range(0, len(text), FRAME_CHARACTERS):
            self.pieces.append(text[start : start + FRAME_CHARACTERS])

    def after(self, offset: int) -> str:
        """Return the text after the first `offset` characters."""
        self._extend_ends()
        index = bisect_right(self._ends, offset)
        start = self._ends[index - 1] if index else 0
        return "".join(self.pieces[index:])[offset - start :]

    def _extend_ends(self) -> None:
        lengths = map(len, self.pieces[len(self._ends) :])
        if self._ends:
            self._ends += list(accumulate(lengths, initial=self._ends[-1]))[1:]
        else:
            self._ends = list(accumulate(lengths))
