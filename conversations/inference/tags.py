"""Reasoning inside the content: `<think>…</think>` at its start, from servers that do not parse it out."""

from collections.abc import Callable

from conversations.inference.deltas import Delta, merge
from conversations.models import Kind

OPEN, CLOSE = "<think>", "</think>"
WHITE_SPACE_CHARACTERS = 1_000  # at the start of the content that are held back, because no tag has come yet


class TagReader:
    """Separate reasoning from answer in a stream of content, wherever the tags are split.

    R1 behind a server without a parser may leave out the opening tag. Then reasoning looks like answer until the
    closing tag comes on a line of its own (models that write about tags put them inside a line): that delta `relabels`.
    """

    def __init__(self) -> None:
        self.found = False  # whether there was a tag
        self._held = ""
        self._state: Callable[[], list[Delta]] = self._start  # reads `_held`, and may set the next state
        self._at_line_start = True
        self._has_passed = False  # whether answer text was passed on, besides white space
        self._in_line = False  # inside a line that has no tag, nothing is held back

    def feed(self, text: str) -> list[Delta]:
        if self._in_line and "\n" not in text:  # most of an answer, without the detour
            return [Delta(Kind.ANSWER, text)]
        self._held += text
        deltas: list[Delta] = []
        while self._held:
            before = self._state
            deltas += self._state()
            if self._state == before:
                break
        self._in_line = self._state == self._untagged and not self._at_line_start
        return merge(deltas)

    def close(self) -> list[Delta]:
        """Return the text that is held back, at the end of the stream."""
        text, self._held = self._held, ""
        if not text.strip():
            return []
        if self._state == self._untagged and self._at_line_start and text.strip() == CLOSE:
            self.found = True
            self._state = self._answer_start
            return [Delta(Kind.REASONING, "", relabels=True)] if self._has_passed else []
        reasoning = self._state in (self._reasoning_start, self._reasoning)
        return [Delta(Kind.REASONING if reasoning else Kind.ANSWER, text)]

    def _start(self) -> list[Delta]:
        """Hold back white space, and what may be the beginning of the opening tag."""
        text = self._held.lstrip()
        if text.startswith(OPEN):
            self.found = True
            self._held = text[len(OPEN) :]
            self._state = self._reasoning_start
        elif not OPEN.startswith(text) or len(self._held) > WHITE_SPACE_CHARACTERS:
            self._state = self._untagged
        return []

    def _reasoning_start(self) -> list[Delta]:
        self._held = self._held.lstrip()
        if self._held:
            self._state = self._reasoning
        return []

    def _reasoning(self) -> list[Delta]:
        text, tag, rest = self._held.partition(CLOSE)
        if tag:
            self._held = rest
            self._state = self._answer_start
        else:
            cut = len(text) - _overlap(text, CLOSE)
            text, self._held = text[:cut], text[cut:]
        return [Delta(Kind.REASONING, text)] if text else []

    def _answer_start(self) -> list[Delta]:
        self._held = self._held.lstrip()
        if self._held:
            self._state = self._answer
        return []

    def _answer(self) -> list[Delta]:
        text, self._held = self._held, ""
        return [Delta(Kind.ANSWER, text)]

    def _untagged(self) -> list[Delta]:
        """Pass the text on as answer, until a line that is only the closing tag relabels it."""
        passed: list[str] = []
        text, self._held = self._held, ""
        while text:
            if self._at_line_start and CLOSE.startswith(text[: len(CLOSE)]):
                if len(text) <= len(CLOSE):
                    self._held = text  # maybe the tag, or the end of its line is still to come
                    break
                if text[len(CLOSE)] == "\n":
                    self.found = True
                    self._held = text[len(CLOSE) :]
                    self._state = self._answer_start
                    before = "".join(passed)
                    if not self._has_passed and not before.strip():
                        return []
                    return [Delta(Kind.ANSWER, before), Delta(Kind.REASONING, "", relabels=True)]
            line, newline, text = text.partition("\n")
            passed.append(line + newline)
            self._at_line_start = bool(newline)
        return self._pass_on("".join(passed))

    def _pass_on(self, text: str) -> list[Delta]:
        """Return the delta of an answer's text, or hold it back while there has been nothing but white space."""
        if self._has_passed or text.strip() or len(text) > WHITE_SPACE_CHARACTERS:
            self._has_passed = True
            return [Delta(Kind.ANSWER, text)] if text else []
        self._held, self._at_line_start = text + self._held, True
        return []


def _overlap(text: str, tag: str) -> int:
    """Return the length of the longest end of `text` that is a beginning of `tag`."""
    return next((n for n in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-n:])), 0)
