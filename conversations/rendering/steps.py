"""Split a thought into steps, from its text alone.

A step has 40 to 150 words where the text allows it, and starts at a paragraph, or at a sentence of a long one. What is
decided about a step depends only on the text up to a sentence after it, so text that is appended never changes a
finished step. The cost is linear in the length of the text.
"""

import re
from copy import deepcopy
from typing import Final, NamedTuple

from conversations.rendering.cues import StepKind, kind_of
from conversations.rendering.step_labels import candidates

VERSION: Final = 1  # of the algorithm and of `cues.toml`; stored with each outline

# Words; see `size`. Code and formulas may be longer.
MIN_WORDS: Final = 40
MIN_WORDS_BEFORE_CORRECTION: Final = 25
ENOUGH_WORDS: Final = 80  # then the next paragraph starts a step
SOFT_MAX_WORDS: Final = 150
MAX_WORDS: Final = 250
LONG_WORD: Final = 30  # characters; of a longer run without spaces, each so many count as a word
# Characters in which the end of code in a line, of a formula, or of a word is looked for.
MAX_INLINE: Final = 2_000
MAX_FORMULA: Final = 20_000
LOOKAHEAD: Final = 64
BATCH: Final = 128  # that are looked at together
PIECE: Final = 4_000  # a complete text is split in pieces, as what is not finished is copied

# Scripts without spaces between words, in which two characters count as one word: Chinese, Japanese, Thai, Lao, Burmese
# and Khmer.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
_UNSPACED_RUN: Final = re.compile(f"[{_UNSPACED}]+")
_LONG_RUN: Final = re.compile(rf"\S{{{LONG_WORD + 1},}}")
_SPACES: Final = re.compile(r"\s*")
_BLANK_LINE: Final = re.compile(r"\n[ \t]*\n")
_FENCE: Final = re.compile(r"(?P<run>`{3,}|~{3,})(?P<info>[^\n]*)\n")
_ROW_OR_HEADING: Final = re.compile(r"\||#{1,6} ")
_FORMULA: Final = re.compile(r"\$\$|\\\[|\\begin\{")
_CLOSERS: Final = r"[\"'”’)\]」』）》】*_]*"
_TOKEN: Final = re.compile(
    rf"(?P<blank>\n[ \t]*\n)"
    rf"|(?P<line>\n(?=[ \t]*(?:(?:[-*+•]|\d{{1,3}}[.)、])[ \t]|\||#{{1,6}} |```|~~~|\$\$|\\\[|\\begin\{{)))"
    rf"|(?P<open>\$\$|\\\[|\\\(|`+)"
    rf"|(?P<end>[.!?…]+{_CLOSERS}(?=\s)|[。！？｡।؟۔]+{_CLOSERS}|:(?=[ \t]*\n))"
)
_SPECIAL: Final = re.compile(r"[\n$\\`.!?…:。！？｡।؟۔]")  # with which each token begins
_CLOSING: Final = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|dr|mr|mrs|ms|prof|fig|eq|no|approx|resp|st|ca|z\.b|d\.h|bzw|usw)|\b[A-Z]|^\W*\d{1,3})\.\Z",
    re.IGNORECASE,
)
_SOFT_BREAK: Final = re.compile(r"[,;:—–]\s+|[，；：、]|\n")


class Step(NamedTuple):
    """A step of a thought. It ends where the next one starts."""

    start: int
    label: str  # of at most 60 characters; "" if the step says nothing
    kind: StepKind


class _Atom(NamedTuple):
    """A part of a text that no step splits: a sentence, a row, a heading, a formula, a block of code."""

    end: int  # with the white space after it
    words: int
    starts_paragraph: bool
    is_block: bool = False  # of a kind that belongs to what is around it: a row, code, a formula
    is_heading: bool = False
    kind: StepKind = StepKind.PLAIN


def size(text: str) -> int:
    """Return the number of words of a text, in any script."""
    halves = 0
    if not text.isascii():
        rest, runs = _UNSPACED_RUN.subn(" ", text)
        halves, text = len(text) - (len(rest) - runs), rest
    words = len(text.split())
    if len(text) > LONG_WORD * (words + 1) or words < len(text) // LONG_WORD:
        words += sum((len(run) - 1) // LONG_WORD for run in _LONG_RUN.findall(text))
    return words + (halves + 1) // 2


class StepSplitter:
    """Split a text that arrives in parts. `steps` are finished; the open step starts at `open_start`."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.open_start = 0
        self.open_kind = StepKind.PLAIN
        self.open_label = ""
        self._incoming: list[str] = []
        self._waiting = 0  # characters in `_incoming`
        self._due = BATCH  # so many more are looked at next
        self._text = ""  # from `open_start` on
        self._at = 0  # in `_text`: what follows is not decided
        self._words = 0  # of the open step
        self._gap = "\n\n"  # the white space before `_at`
        self._fallback = ""  # a label for the open step that an earlier step has
        self._labels: set[str] = set()

    @property
    def current(self) -> tuple[int, Step]:
        """Return the number of steps before the current one, and that: the last one until the open one has a label."""
        label = self.open_label or self._fallback
        if label or not self.steps:
            return len(self.steps), Step(self.open_start, label, self.open_kind)
        return len(self.steps) - 1, self.steps[-1]

    def closed_steps(self) -> list[Step]:
        """Return all steps, as if the text ended here."""
        closed = deepcopy(self)
        closed.close()
        return closed.steps

    def feed(self, text: str) -> None:
        """Append `text`.

        To keep the cost linear, it is looked at when there is enough of it: always at the same places, so that what is
        known of a text does not depend on the parts in which it arrived.
        """
        self._incoming.append(text)
        self._waiting += len(text)
        if self._waiting < self._due:
            return
        incoming, at = "".join(self._incoming), 0
        while len(incoming) - at >= self._due:
            self._text += incoming[at : at + self._due]
            at += self._due
            self._scan(eof=False)
            self._due = max(BATCH, (len(self._text) - self._at) // 4)
        self._incoming, self._waiting = [incoming[at:]], len(incoming) - at

    def close(self) -> None:
        """Finish the last step. No text may be fed after this."""
        self._text += "".join(self._incoming)
        self._incoming = []
        self._scan(eof=True)
        if self._text:
            self._finish()

    def _scan(self, *, eof: bool) -> None:
        while self._at < len(self._text) and (atom := self._next_atom(eof=eof)):
            if self._words and self._starts_step(atom):
                length = self._at
                self._finish()
                atom = atom._replace(end=atom.end - length)
            sentence = self._text[self._at : atom.end]
            if not self.open_label:
                self._find_label(sentence.strip())
            if atom.kind and (atom.kind == StepKind.CORRECTION or not self.open_kind):
                self.open_kind = atom.kind
            self._words += atom.words
            self._gap = sentence[len(sentence.rstrip()) :]
            self._at = atom.end

    def _finish(self) -> None:
        """Finish the open step at `_at`."""
        label = self.open_label or self._fallback
        self.steps.append(Step(self.open_start, label, self.open_kind))
        self._labels.add(label.casefold())
        self.open_start += self._at
        self._text = self._text[self._at :]
        self._at = self._words = 0
        self.open_label, self.open_kind, self._fallback = "", StepKind.PLAIN, ""

    def _find_label(self, sentence: str) -> None:
        found = candidates(sentence)
        self.open_label = next((label for label in found if label.casefold() not in self._labels), "")
        self._fallback = self._fallback or (found[0] if found else "")

    def _starts_step(self, atom: _Atom) -> bool:
        words = self._words
        if words + atom.words > MAX_WORDS:
            return True
        if atom.kind == StepKind.CORRECTION and atom.starts_paragraph and words >= MIN_WORDS_BEFORE_CORRECTION:
            return True
        if words < MIN_WORDS:
            return False
        if not atom.starts_paragraph:
            return not atom.is_block and (atom.kind == StepKind.CORRECTION or words + atom.words > SOFT_MAX_WORDS)
        if atom.is_heading or (atom.kind and not atom.is_block):
            return True
        return words >= ENOUGH_WORDS or words + atom.words > SOFT_MAX_WORDS

    # Atoms. Each function returns None if that depends on text that has not come yet.

    def _next_atom(self, *, eof: bool) -> _Atom | None:
        text = self._text
        start = self._at + _length(_SPACES, text, self._at)  # after white space, which only the first atom begins with
        if start == len(text):
            return _Atom(start, 0, False) if eof else None
        starts_line, starts_paragraph = "\n" in self._gap, self._gap.count("\n") > 1
        if not eof and len(text) - start < LOOKAHEAD:
            return None
        if starts_line:
            if fence := _FENCE.match(text, start):
                if fence["run"][0] == "~" or "`" not in fence["info"]:
                    return self._block(_end_of_code(text, fence, eof=eof), start, starts_paragraph, eof=eof)
            elif text.startswith(("```", "~~~"), start) and "\n" not in text[start : start + MAX_INLINE]:
                if not eof and len(text) - start < MAX_INLINE:
                    return None
            elif row := _ROW_OR_HEADING.match(text, start):
                end = text.find("\n", start, start + MAX_INLINE)
                if end < 0 and not eof and len(text) - start < MAX_INLINE:
                    return None
                if end > 0 and row[0] == "|":
                    return self._block(end, start, starts_paragraph, eof=eof)
                if end > 0:
                    return self._prose(end, start, starts_paragraph=True, is_heading=True, eof=eof)
            elif _FORMULA.match(text, start):
                formula = _end_of_formula(text, start, eof=eof)
                if formula != 0:
                    return self._block(formula, start, starts_paragraph, eof=eof)
        return self._sentence(start, starts_paragraph, eof=eof)

    def _sentence(self, start: int, starts_paragraph: bool, *, eof: bool) -> _Atom | None:
        end = _end_of_sentence(self._text, start, eof=eof)
        known = len(self._text) if eof else len(self._text) - LOOKAHEAD
        words = size(self._text[start : known if end is None else end])
        if words > MAX_WORDS:
            end = start + _longest_part(self._text[start : known if end is None else end])
        elif end is None:
            if not eof:
                return None
            end = len(self._text)
        return self._prose(end, start, starts_paragraph=starts_paragraph, is_heading=False, eof=eof)

    def _prose(self, end: int, start: int, *, starts_paragraph: bool, is_heading: bool, eof: bool) -> _Atom | None:
        after = end + _length(_SPACES, self._text, end)
        if after == len(self._text) and not eof:
            return None
        sentence = self._text[start:end]
        kind = kind_of(sentence.lstrip("#-*+•0123456789.) \t"))
        return _Atom(after, size(sentence), starts_paragraph, False, is_heading, kind)

    def _block(self, end: int | None, start: int, starts_paragraph: bool, *, eof: bool) -> _Atom | None:
        if end is None:
            return None
        after = end + _length(_SPACES, self._text, end)
        if after == len(self._text) and not eof:
            return None
        return _Atom(after, size(self._text[start:end]), starts_paragraph, is_block=True)


def split(text: str) -> list[Step]:
    """Return the steps of a complete thought."""
    splitter = StepSplitter()
    for at in range(0, len(text), PIECE):
        splitter.feed(text[at : at + PIECE])
    splitter.close()
    return splitter.steps


def _length(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return len(found[0]) if found else 0


def _end_of_code(text: str, fence: re.Match[str], *, eof: bool) -> int | None:
    closing = re.compile(rf"^[ \t]*{re.escape(fence['run'])}{fence['run'][0]}*[ \t]*$", re.MULTILINE)
    for found in closing.finditer(text, fence.end()):
        if found.end() < len(text):
            return found.end()
    return len(text) if eof else None


def _end_of_formula(text: str, start: int, *, eof: bool) -> int | None:
    """Return where the formula at `start` ends; 0 if it is not one that has lines of its own."""
    limit = start + MAX_FORMULA
    if text.startswith("\\begin{", start):
        name = text[start + 7 : start + 7 + LOOKAHEAD].partition("}")[0]
        closing = f"\\end{{{name}}}"
    else:
        closing = _CLOSING[text[start : start + 2]]
    blank = _BLANK_LINE.search(text, start, limit)
    end = text.find(closing, start + 2, blank.start() if blank else limit)
    if end < 0:
        return 0 if blank or eof or len(text) >= limit else None
    end += len(closing)
    line = text[end : end + LOOKAHEAD]
    if "\n" not in line and not eof and len(line) < LOOKAHEAD:
        return None
    rest = line.partition("\n")[0]
    return end + len(rest) if not rest.strip(" \t.,;") else 0


def _end_of_sentence(text: str, start: int, *, eof: bool) -> int | None:
    at = start
    while special := _SPECIAL.search(text, at):
        token = _TOKEN.match(text, special.start())
        if token is None:
            if special.end() + LOOKAHEAD > len(text) and not eof:
                return None
            at = special.end()
            continue
        if token.end() + LOOKAHEAD > len(text) and not eof:
            return None
        if token["open"]:
            closing = _CLOSING.get(token["open"], token["open"])
            limit = token.end() + MAX_INLINE
            closed = text.find(closing, token.end(), limit)
            is_closed = closed >= 0 and not _BLANK_LINE.search(text, token.end(), closed)
            if closed < 0 and not eof and len(text) < limit and not _BLANK_LINE.search(text, token.end()):
                return None
            at = closed + len(closing) if is_closed else token.end()
        elif token["end"] and _continues(text, start, token):
            at = token.end()
        else:
            return token.end() if token["end"] else token.start()
    return None


def _continues(text: str, start: int, token: re.Match[str]) -> bool:
    """Return whether the sentence goes on after `token`, which could end it."""
    if token["end"][0] != ".":
        return False
    after = text[token.end() : token.end() + LOOKAHEAD]
    following = after.lstrip()
    if following[:1].islower() and "\n" not in after[: len(after) - len(following)]:
        return True
    return bool(_ABBREVIATION.search(text[max(start, token.start() - 12) : token.start() + 1]))


def _longest_part(sentence: str) -> int:
    """Return the length of the longest part of a sentence that is not too long: up to a line, clause or word."""
    words, run, end, space = 0.0, 0, len(sentence), 0
    for at, character in enumerate(sentence):
        if character.isspace():
            run, space = 0, at + 1
        elif character >= _UNSPACED[0] and _UNSPACED_RUN.match(character):
            words, run = words + 0.5, 0
        else:
            words += 1 if run % LONG_WORD == 0 else 0
            run += 1
        if words > MAX_WORDS - 1:
            end = at
            break
    breaks = [found.end() for found in _SOFT_BREAK.finditer(sentence, end // 2, end)]
    return breaks[-1] if breaks else (space if end // 2 < space <= end else end)
