import re
from html import unescape

import pytest

from conversations.rendering import markdown
from conversations.rendering.find import mark
from tests.rendering.hostile import HOSTILE

TAG = re.compile(r'<(?:[^">]|"[^"]*")*>')


@pytest.mark.parametrize(
    ("html", "query", "marked", "found"),
    [
        ("<p>A log &amp; a backlog</p>", "log", "<p>A <mark>log</mark> &amp; a back<mark>log</mark></p>", 2),
        ("<p>R&amp;D</p>", "amp", "<p>R&amp;D</p>", 0),
        ("<p>R&amp;D</p>", "&", "<p>R<mark>&amp;</mark>D</p>", 1),
        ('<a title="a > log">x</a>', "log", '<a title="a > log">x</a>', 0),
        ("<math><mi>log</mi></math> LOG", "log", "<math><mi>log</mi></math> <mark>LOG</mark>", 1),
        ("<p>a.b axb</p>", "a.b", "<p><mark>a.b</mark> axb</p>", 1),
        ("<p>one two</p>", "two  one", "<p><mark>one</mark> <mark>two</mark></p>", 2),
        ("<p>one</p>", " ", "<p>one</p>", 0),
    ],
)
def test_words_are_marked_in_text_only(html: str, query: str, marked: str, found: int):
    assert mark(html, query) == (marked, found)


def test_marks_are_all_that_changes_in_hostile_text():
    for text in HOSTILE:
        html = markdown.render(text, prefix="m1")
        marked, _ = mark(html, "a script on < & \" '")
        plain = marked.replace("<mark>", "").replace("</mark>", "")
        assert unescape(plain) == unescape(html)
        assert TAG.findall(plain) == TAG.findall(html)
