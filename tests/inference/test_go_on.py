"""The rest of an answer that was asked for in words joins what was there before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.inference.go_on import Joint, last_words, question
from conversations.inference.tags import Delta
from conversations.models import Kind

CUT = "Rayleigh scattering.\n\nBlue light has a short wavelength, and so it is scat"


def join(answer: str, *pieces: str) -> str:
    passed: list[Delta] = []
    joint = Joint(answer, passed.extend)
    for piece in pieces:
        joint([Delta(Kind.ANSWER, piece)])
    joint.close()
    return answer + "".join(delta.text for delta in passed)


def test_the_question_names_the_last_words_of_the_last_line():
    asked = question(CUT + "  \n")
    assert asked["role"] == "user"
    assert asked["content"].endswith("wavelength, and so it is scat")
    assert last_words("one\ntwo three") == "two three"
    assert last_words("") == ""


def test_repeated_last_words_are_said_once():
    assert join(CUT, "wavelength, and so it is scattered more.") == CUT + "tered more."


def test_white_space_before_and_behind_the_repeated_words_is_not_doubled():
    assert join("First line.\n", "\nFirst line.\nSecond line.") == "First line.\nSecond line."
    assert join("First line.\n", "First line. And more.") == "First line.\n And more."


@pytest.mark.parametrize("rest", ["tered more.", " wavelength, and then", "wave", "\n"])
def test_a_rest_that_begins_otherwise_stays_as_it_is(rest: str):
    assert join(CUT, *rest) == CUT + rest


def test_thoughts_pass_at_once():
    passed: list[Delta] = []
    joint = Joint(CUT, passed.extend)
    joint([Delta(Kind.ANSWER, "wavelength, "), Delta(Kind.REASONING, "Hm.")])
    assert passed == [Delta(Kind.REASONING, "Hm.")]


def test_what_was_held_back_is_a_thought_if_it_turns_out_to_be_one():
    passed: list[Delta] = []
    joint = Joint(CUT, passed.extend)
    joint([Delta(Kind.ANSWER, "wavelength, ")])
    relabelling = Delta(Kind.REASONING, "", relabels=True)
    joint([relabelling, Delta(Kind.ANSWER, "wavelength, and so it is scattered.")])
    assert passed == [Delta(Kind.ANSWER, "wavelength, "), relabelling, Delta(Kind.ANSWER, "tered.")]


@given(st.text("ab \n", max_size=30), st.text("ab \n", max_size=30), st.data())
def test_however_the_rest_is_cut_it_joins_the_same(answer: str, rest: str, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rest)))))
    pieces = [rest[a:b] for a, b in zip([0, *cuts], [*cuts, len(rest)], strict=True)]
    assert join(answer, *pieces) == join(answer, rest)
