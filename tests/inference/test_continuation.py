"""The rest of an answer that was cut is asked for, and joined to the first part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.inference.continuation import OverlapTrimmer, continuation_message, last_words
from conversations.inference.deltas import Delta
from conversations.models import Kind

CUT = "Rayleigh scattering.\n\nBlue light has a short wavelength, and so it is scat"


def join(answer: str, *pieces: str) -> str:
    passed: list[Delta] = []
    trimmer = OverlapTrimmer(answer, passed.extend)
    for piece in pieces:
        trimmer([Delta(Kind.ANSWER, piece)])
    trimmer.close()
    return answer + "".join(delta.text for delta in passed)


def test_the_message_quotes_the_last_words_of_the_last_line():
    message = continuation_message(CUT + "  \n")
    assert message["role"] == "user"
    assert message["content"].endswith("wavelength, and so it is scat")
    assert last_words("one\ntwo three") == "two three"
    assert last_words("") == ""


def test_repeated_last_words_are_removed():
    assert join(CUT, "wavelength, and so it is scattered more.") == CUT + "tered more."


def test_white_space_around_the_repeated_words_is_not_doubled():
    assert join("First line.\n", "\nFirst line.\nSecond line.") == "First line.\nSecond line."
    assert join("First line.\n", "First line. And more.") == "First line.\n And more."


@pytest.mark.parametrize("rest", ["tered more.", " wavelength, and then", "wave", "\n"])
def test_a_rest_that_begins_differently_is_unchanged(rest: str):
    assert join(CUT, *rest) == CUT + rest


def test_reasoning_passes_at_once():
    passed: list[Delta] = []
    trimmer = OverlapTrimmer(CUT, passed.extend)
    trimmer([Delta(Kind.ANSWER, "wavelength, "), Delta(Kind.REASONING, "Hm.")])
    assert passed == [Delta(Kind.REASONING, "Hm.")]


def test_text_that_was_held_back_is_relabelled_with_the_rest():
    passed: list[Delta] = []
    trimmer = OverlapTrimmer(CUT, passed.extend)
    trimmer([Delta(Kind.ANSWER, "wavelength, ")])
    relabelling = Delta(Kind.REASONING, "", relabels=True)
    trimmer([relabelling, Delta(Kind.ANSWER, "wavelength, and so it is scattered.")])
    assert passed == [Delta(Kind.ANSWER, "wavelength, "), relabelling, Delta(Kind.ANSWER, "tered.")]


@given(st.text("ab \n", max_size=30), st.text("ab \n", max_size=30), st.data())
def test_the_rest_joins_the_same_however_it_is_cut(answer: str, rest: str, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rest)))))
    pieces = [rest[a:b] for a, b in zip([0, *cuts], [*cuts, len(rest)], strict=True)]
    assert join(answer, *pieces) == join(answer, rest)
