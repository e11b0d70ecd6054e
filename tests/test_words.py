"""Counting the words of texts in any script."""

import pytest

from conversations.models.words import count_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" \n\t", 0),
        ("One two,\nthree.", 3),
        ("A dash — is none; * nor a bullet, nor | a | line |", 10),
        ("9.8 > 9.11", 2),
        ("…", 1),
        ("你好，世界。", 4),
        ("日本語のテスト、です。", 9),
        ("用 Python 写", 3),
        ("한국어 단어", 2),
        ("مرحبا بالعالم", 2),
    ],
)
def test_words_are_counted_in_every_script(text: str, words: int):
    assert count_words(text) == words
