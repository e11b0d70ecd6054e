"""Reasoning inside the content: `<think>…</think>` at its start, for servers that do not parse it out."""

from collections.abc import Iterable
from typing import NamedTuple

from conversations.models import Kind

OPEN, CLOSE = "<think>", "</think>"


class Delta(NamedTuple):
    """A piece of a model's text. With `relabels`, all answer text so far turns out to have been reasoning."""

    kind: Kind
    text: str
    relabels: bool = False


def merge(deltas: Iterable[Delta]) -> list[Delta]:
    """Join neighbours of the same kind."""
    merged: list[Delta] = []
    for delta in deltas:
        if merged and merged[-1].kind == delta.kind and not delta.relabels:
            merged[-1] = Delta(delta.kind, merged[-1].text + delta.text, merged[-1].relabels)
        else:
            merged.append(delta)
    return merged


class TagReader:
    """Tell reasoning from answer in a stream of content, tags cut anywhere.

    R1 behind a server without a parser may leave out the opening tag. Then nothing tells reasoning from answer until
    the closing tag comes, on a line of its own (a model that writes about tags puts them inside a line): that delta
    `relabels`.
    """

    def __init__(self) -> None:
        self.found = False
        self._held = ""
        self._state = self._start
        self._line_begins = True

    def feed(self, text: str) -> list[Delta]:
        self._held += text
        deltas: list[Delta] = []
        while self._held:
            before = self._state
            deltas += self._state()
            if self._state == before:
                break
        return merge(deltas)

    def close(self) -> list[Delta]:
        """Return what is held back, now that nothing follows."""
        text, self._held = self._held, ""
        if not text or (self._state in (self._reasoning_start, self._answer_start) and not text.strip()):
            return []
        if self._state == self._untagged and text.rstrip("\n") == CLOSE and self._line_begins:
            self.found = True
            self._state = self._answer_start
            return [Delta(Kind.REASONING, "", relabels=True)]
        reasoning = self._state in (self._reasoning_start, self._reasoning)
        return [Delta(Kind.REASONING if reasoning else Kind.ANSWER, text)]

    def _start(self) -> list[Delta]:
        """Hold white space and the beginning of a tag until it is one or not."""
        text = self._held.lstrip()
        if text.startswith(OPEN):
            self.found = True
            self._held = text[len(OPEN) :]
            self._state = self._reasoning_start
        elif not OPEN.startswith(text):
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
        """Pass the text on as answer, line by line aware: a line that is only the closing tag relabels it."""
        passed = []
        text, self._held = self._held, ""
        while text:
            if self._line_begins and CLOSE.startswith(text[: len(CLOSE)]):
                if len(text) <= len(CLOSE):
                    self._held = text  # perhaps a tag, perhaps not its end of line yet
                    break
                if text[len(CLOSE)] == "\n":
                    self.found = True
                    self._held = text[len(CLOSE) :]
                    self._state = self._answer_start
                    before = "".join(passed)
                    return [
                        *([Delta(Kind.ANSWER, before)] if before else []),
                        Delta(Kind.REASONING, "", relabels=True),
                    ]
            line, newline, text = text.partition("\n")
            passed.append(line + newline)
            self._line_begins = bool(newline)
        return [Delta(Kind.ANSWER, "".join(passed))] if passed else []


def _overlap(text: str, tag: str) -> int:
    """Return the length of the longest end of `text` that begins `tag`."""
    return next((n for n in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-n:])), 0)
