"""Text, code and data: found by content, decoded, and without what would mislead."""

from pathlib import Path

import pytest

from conversations.extraction import Kind, Limits, extract
from conversations.extraction.kinds import FILE_NAME_ENDINGS
from conversations.extraction.read import EMPTY, RICH_TEXT
from conversations.extraction.text import NOT_TEXT
from tests.extraction.files import read_here, saved

GERMAN = "Größe;Preis\nklein;12,50 €\ngroß;für 99,00 €\n"
RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.\n"
POLISH = "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.\n"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n"
CHINESE = "道可道,非常道。名可名,非常名。无名天地之始,有名万物之母。\n"


@pytest.mark.parametrize(
    ("name", "kind", "media_type"),
    [
        ("notes.txt", Kind.TEXT, "text/plain"),
        ("README", Kind.TEXT, "text/plain"),
        ("a.unheard-of", Kind.TEXT, "text/plain"),
        ("README.MD", Kind.MARKDOWN, "text/markdown"),
        ("a.b.py", Kind.CODE, "text/plain"),
        ("data.csv", Kind.CSV, "text/csv"),
        ("data.json", Kind.JSON, "application/json"),
    ],
)
def test_the_name_tells_kinds_of_text_apart(name: str, kind: Kind, media_type: str):
    found = read_here(b"a,b\n1,2\n", name)
    assert (found.kind, found.media_type, found.text, found.problem) == (kind, media_type, "a,b\n1,2", "")


def test_the_file_picker_offers_every_kind():
    assert {".txt", ".md", ".py", ".csv", ".json", ".html", ".pdf", ".docx", ".xlsx", ".pptx", ".png", ".webp"} < set(
        FILE_NAME_ENDINGS
    )
    assert len(set(FILE_NAME_ENDINGS)) == len(FILE_NAME_ENDINGS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be"])
@pytest.mark.parametrize("text", [GERMAN, CHINESE])
def test_unicode_is_decoded(text: str, encoding: str):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    assert read_here(mark + text.encode(encoding)).text + "\n" == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        ("déjà vu", "cp1252"),
        ("Привет, мир", "cp1251"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (CHINESE, "gb18030"),
    ],
)
def test_older_encodings_are_detected(text: str, encoding: str):
    assert read_here(b"ASCII first\n" * 9_000 + text.encode(encoding)).text.endswith(text.rstrip())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", EMPTY),
        (b" \r\n\t", EMPTY),
        (b"text\0text", NOT_TEXT),
        (b"MZ\x90\0\x03\0\0\0\x04", NOT_TEXT),  # a program
        (b"\x7fELF\x02\x01\x01\0", NOT_TEXT),
        (bytes(range(1, 256)), NOT_TEXT),
        (rb"{\rtf1\ansi Hello}", RICH_TEXT),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.pdf", ""])
def test_what_is_not_text_is_refused_whatever_its_name(data: bytes, problem: str, name: str):
    found = read_here(data, name)
    assert (found.text, found.problem) == ("", problem)


def test_line_breaks_are_line_feeds_and_controls_are_left_out():
    assert read_here(b"a\r\nb\rc\x0cd\x1b[31m\x07\x7fe\tf").text == "a\nb\nc\nd[31me\tf"


def test_characters_that_reorder_or_hide_text_are_left_out():
    hidden = "".join(chr(0xE0000 + ord(character)) for character in "ignore all")
    assert read_here(f"a\u202eb\u2066c{hidden}d\ufeff שלום\u200f\u200e".encode()).text == "abcd שלום\u200f\u200e"


def test_lone_surrogates_are_replaced():
    assert read_here("\ufeffa\ud800b".encode("utf-16-le", "surrogatepass")).text == "a\ufffdb"
    assert read_here(b"a\xed\xa0\x80b").text.encode()  # not UTF-8 at all: of some other encoding, but storable


def test_long_text_is_cut_and_that_is_said():
    found = read_here("é".encode() * 50, "a.txt", Limits(characters=10))
    assert (found.text, found.notice) == ("é" * 10, "Only the first 10 characters were read.")


def test_more_bytes_than_are_decoded_are_not_cut_inside_a_character():
    found = read_here(b"a" * 5 + "€".encode() * 50, "a.txt", Limits(characters=12))
    assert (found.text, found.notice) == ("a" * 5 + "€" * 7, "Only the first 12 characters were read.")


def test_html_becomes_text():
    found = read_here(
        b"<!doctype html><title>T &amp; U</title><style>p{}</style><script>alert(1)</script><h2>Head</h2>"
        b"<p>One  <b>two</b>\nthree<br>four<!-- five --><ul><li>six<li>seven</ul>"
        b"<table><tr><th>a<th>b<tr><td>1<td>2</table><pre>x\n  y</pre><noscript>n</noscript>"
        b"<iframe src=http://127.0.0.1/>i</iframe><img src=x onerror=alert(1) alt=z>",
        "",
    )
    assert found.text == "# T & U\n\n## Head\n\nOne two three\nfour\n\n- six\n- seven\n\na\tb\n1\t2\n\nx\n  y"
    assert (found.kind, found.media_type, found.problem) == (Kind.HTML, "text/html", "")
    assert "scripts and styles were left out" in found.notice


def test_comments_tell_html_from_text_quickly(tmp_path: Path):
    comments = b"".join(b"<!-- line %d of a licence -->\n" % number for number in range(40))
    assert extract(saved(tmp_path, comments + b"<html><p>a</p>"), "").kind is Kind.HTML
    found = extract(saved(tmp_path, comments + b"<package/>"), "")
    assert (found.kind, found.problem) == (Kind.TEXT, "")


def test_html_by_name_and_html_as_source():
    assert read_here(b"<p>a</p>", "a.html").text == "a"
    assert read_here(b"<!doctype html><p>a</p>", "a.txt").text == "<!doctype html><p>a</p>"
