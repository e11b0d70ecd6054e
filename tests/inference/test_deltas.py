"""Deltas are merged and counted, through answer text that turns out to be reasoning."""

from conversations.inference.deltas import Delta, DeltaTotals, merge
from conversations.models import Kind

RELABELLING = Delta(Kind.REASONING, "", relabels=True)


def reasoning(text: str) -> Delta:
    return Delta(Kind.REASONING, text)


def answer(text: str) -> Delta:
    return Delta(Kind.ANSWER, text)


def test_neighbours_of_one_kind_are_joined_and_empty_deltas_left_out():
    merged = merge([reasoning("a"), reasoning("b"), answer(""), answer("c"), reasoning("d"), reasoning("")])
    assert merged == [reasoning("ab"), answer("c"), reasoning("d")]


def test_merging_applies_relabelling_to_what_came_before():
    merged = merge([answer("a"), RELABELLING, reasoning("b"), answer("c")])
    assert merged == [Delta(Kind.REASONING, "ab", relabels=True), answer("c")]


def test_relabelling_of_what_came_earlier_is_not_lost():
    assert merge([RELABELLING, answer("c")]) == [RELABELLING, answer("c")]
    assert merge([answer("c"), RELABELLING, answer("d"), RELABELLING]) == [Delta(Kind.REASONING, "cd", relabels=True)]


def test_totals_count_characters_and_remember_when_each_kind_began():
    totals = DeltaTotals[float]()
    totals.add([reasoning(""), reasoning("ab")], 1.0)
    totals.add([reasoning("c"), answer("defg")], 2.0)
    totals.add([answer("h")], 3.0)
    assert totals.characters == {Kind.REASONING: 3, Kind.ANSWER: 5}
    assert totals.first_at == {Kind.REASONING: 1.0, Kind.ANSWER: 2.0}


def test_relabelling_moves_the_totals_of_the_answer_to_the_reasoning():
    totals = DeltaTotals[float]()
    totals.add([answer("abc")], 1.0)
    totals.add([RELABELLING], 2.0)
    assert totals.characters == {Kind.REASONING: 3, Kind.ANSWER: 0}
    assert totals.first_at == {Kind.REASONING: 1.0}
    totals.add([answer("d")], 3.0)
    assert totals.first_at == {Kind.REASONING: 1.0, Kind.ANSWER: 3.0}


def test_totals_are_the_same_merged_or_not():
    deltas = [answer("ab"), RELABELLING, answer("c")]
    plain, merged = DeltaTotals[int](), DeltaTotals[int]()
    plain.add(deltas, 1)
    merged.add(merge(deltas), 1)
    assert (plain.characters, plain.first_at) == (merged.characters, merged.first_at)
