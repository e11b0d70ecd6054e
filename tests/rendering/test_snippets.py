"""Snippets of search results."""

from conversations.rendering.snippets import position, snippet


def test_a_snippet_shows_the_first_match_and_marks_all_matches():
    text = "word " * 100 + "the needle and the NEEDLE's eye" + " word" * 100
    parts = snippet(text, "needle eye")
    assert [part for part, is_match in parts if is_match] == ["needle", "NEEDLE", "eye"]
    shown = "".join(part for part, _ in parts)
    assert shown.startswith("… word")
    assert shown.endswith("word …")
    assert len(shown) < 300


def test_a_snippet_marks_matches_inside_text_without_spaces():
    assert snippet("北京是首都", "首都") == [("北京是", False), ("首都", True)]


def test_the_position_is_that_of_the_first_word_in_the_text():
    assert position("one Two three", "three two") == 4
    assert position("one two", "four") is None
