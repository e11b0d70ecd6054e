"""Markdown rendered as safe HTML."""

import re
from pathlib import Path

import pytest

from conversations.rendering import markdown
from conversations.rendering.highlight import STYLED_TOKENS
from conversations.rendering.html_writer import MAX_DEPTH
from tests.rendering.hostile import ENORMOUS, HOSTILE
from tests.rendering.reader import Reader, read


def render(text: str) -> str:
    return markdown.render(text, prefix="m1")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one *soft* **bold** ~~gone~~", '<p dir="auto">one <em>soft</em> <strong>bold</strong> <del>gone</del></p>\n'),
        ("one\ntwo  \nthree", '<p dir="auto">one\ntwo<br>\nthree</p>\n'),
        ("# One\n## Two\n###### Six", '<h3 dir="auto">One</h3>\n<h4 dir="auto">Two</h4>\n<h5 dir="auto">Six</h5>\n'),
        ("### A\n#### B\n# C", '<h3 dir="auto">A</h3>\n<h4 dir="auto">B</h4>\n<h3 dir="auto">C</h3>\n'),
        ("- a\n- b", '<ul>\n<li dir="auto">a</li>\n<li dir="auto">b</li>\n</ul>\n'),
        ("3. a\n\n4. b", '<ol start="3">\n<li dir="auto"><p>a</p>\n</li>\n<li dir="auto"><p>b</p>\n</li>\n</ol>\n'),
        ("> a", '<blockquote dir="auto">\n<p>a</p>\n</blockquote>\n'),
        ("---", "<hr>\n"),
        ("`x < y`", '<p dir="auto"><code>x &lt; y</code></p>\n'),
    ],
)
def test_markdown_is_rendered_as_html(text: str, html: str):
    assert render(text) == html


def test_code_is_a_figure_with_its_language_and_highlighted_tokens():
    html = render("```python title=x\nif x < 1: pass\n```")
    assert html.startswith(
        '<figure class="code" data-language="python"><figcaption><span>python</span></figcaption><pre'
    )
    assert '<span class="k">if</span>' in html
    assert read(html).text == "pythonif x < 1: pass\n\n"


@pytest.mark.parametrize("code", ["\n\n  x\n\n", "\tx", "a  \nb", "x"])
def test_code_keeps_all_white_space(code: str):
    assert read(render(f"```python\n{code}\n```")).text == f"python{code}\n\n"


def test_code_in_an_unknown_language_is_not_highlighted():
    assert "x &lt; 1\n</span></code>" in render("```nosuchlanguage\nx < 1\n```")


def test_code_that_is_too_long_is_not_highlighted():
    assert '<span class="mi">' in render("```python\n" + "x = 1\n" * 8_000 + "```")
    assert '<span class="mi">' not in render("```python\n" + "x = 1\n" * 9_000 + "```")


def test_code_is_not_highlighted_if_its_lexer_is_too_slow():
    assert '<code><span class="lines">\n\n' in render("```c\n" + "\n" * 12_000 + "```")


def test_raw_html_is_shown_as_text():
    for text in ("a <b>c</b> d", "<div>\n<p>x</p>\n</div>", "<!-- note -->", "<br>"):
        assert read(render(text)).text.strip() == text


def test_a_br_tag_breaks_the_line_only_in_a_table():
    assert "a<br>b" in render("| h |\n|---|\n| a<br>b |")
    assert "a&lt;br&gt;b" in render("a<br>b")


def test_a_table_scrolls_and_has_a_name_and_alignment_classes():
    reader = read(render('| Left | *Right* | \\| "x" |\n|:--|--:|:-:|\n| 1 | 2 | 3 |'))
    (region,) = reader.named("div")
    assert region == {
        "class": "table",
        "tabindex": "0",
        "role": "group",
        "aria-label": 'Table: Left Right | "x"',
    }
    assert reader.named("td") == [{"class": "align-left"}, {"class": "align-right"}, {"class": "align-center"}]
    assert {cell["scope"] for cell in reader.named("th")} == {"col"}


def test_tasks_are_disabled_checkboxes():
    done, open_ = read(render("- [x] done\n- [ ] open")).named("input")
    assert done == {"type": "checkbox", "disabled": "", "checked": "", "aria-label": "Task"}
    assert "checked" not in open_


def test_footnotes_are_numbered_in_order_of_reference_and_have_the_prefix():
    html = markdown.render("a[^z] b[^a] c[^z]\n\n[^a]: A\n[^z]: Z\n[^unused]: U", prefix="m7")
    assert [part in html for part in ('href="#m7-note-1" id="m7-ref-1"', 'id="m7-ref-2"', 'id="m7-ref-1-2"')] == [
        True
    ] * 3
    assert (
        html.index('<li id="m7-note-1"') < html.index("Z</p>") < html.index('<li id="m7-note-2"') < html.index("A</p>")
    )
    assert "U</p>" not in html


def test_an_alert_is_a_quotation_with_a_title():
    html = render("> [!WARNING]\n> Hot.")
    assert html.startswith(
        '<blockquote class="alert alert-warning" dir="auto">\n<p class="alert-title">Warning</p>\n<p>Hot.'
    )


@pytest.mark.parametrize(
    ("text", "address", "label"),
    [
        ("[a](https://x.example/ä)", "https://x.example/%C3%A4", "a"),
        ("[a](HTTP://x.example)", "HTTP://x.example", "a"),
        ("<https://x.example>", "https://x.example", "https://x.example"),
        ("<me@x.example>", "mailto:me@x.example", "me@x.example"),
        ("see https://x.example/a_b_c?d=1&e=2.", "https://x.example/a_b_c?d=1&e=2", "https://x.example/a_b_c?d=1&e=2"),
        ("(https://x.example/a_(b))", "https://x.example/a_(b)", "https://x.example/a_(b)"),
        ("见https://x.example/a。好", "https://x.example/a", "https://x.example/a"),
        ("**https://x.example**", "https://x.example", "https://x.example"),
        ("see www.x.example/a.", "http://www.x.example/a", "www.x.example/a"),
        ("write to me.too@x.example.", "mailto:me.too@x.example", "me.too@x.example"),
    ],
)
def test_links_open_safely_in_a_new_tab(text: str, address: str, label: str):
    html = render(text)
    (link,) = read(html).named("a")
    assert (link["href"], link["target"]) == (address, "_blank")
    assert f">{label}</a>".replace("&", "&amp;") in html


@pytest.mark.parametrize(
    "text",
    [
        "`https://x.example`",
        "```\nhttps://x.example\n```",
        "xhttps://x.example",
        "https://",
        "www.",
        "a@b",
        "git@x.example:a/b",
    ],
)
def test_other_text_and_addresses_in_code_are_not_linked(text: str):
    assert read(render(text)).named("a") == []


def test_a_link_into_this_site_is_only_text():
    assert render("[text](/admin/) [other](#composer)") == '<p dir="auto">text other</p>\n'


def test_an_image_is_a_link_with_its_alternative_text():
    html = render("![a *fine* picture](https://x.example/p.png)")
    assert read(html).named("a")[0]["class"] == "image"
    assert ">a fine picture</a>" in html


def test_an_image_inside_a_link_keeps_the_link():
    html = render("[![picture](https://x.example/p.png)](https://y.example)")
    assert [link["href"] for link in read(html).named("a")] == ["https://y.example"]


def test_all_kinds_of_line_endings_are_equal():
    text = "# a\n\nb\nc\n\n```\nd\n```\n"
    assert render(text) == render(text.replace("\n", "\r\n")) == render(text.replace("\n", "\r"))


def test_characters_that_the_parser_must_not_get_are_replaced():
    assert render("a\0b\ud800c\ufdd0d") == '<p dir="auto">a\ufffdb\ufffdc\ufffdd</p>\n'


def test_hostile_text_is_rendered_safely():
    for text in HOSTILE:
        read(render(text))
        read(markdown.preformatted(text))


def test_exactly_the_tokens_that_the_style_sheet_knows_have_an_element():
    sheet = (Path(__file__).parents[2] / "static/css/prose.css").read_text()
    rules = re.findall(r"^\.prose \.code (?::is\((.*?)\)|(\.ge)) \{", sheet, re.MULTILINE)
    assert set(re.findall(r"\.(\w+)", str(rules))) == STYLED_TOKENS
    assert render("```python\nx = f(1)\n```").count("<span class=") == 2  # the group of lines, and the number


def test_reordering_characters_are_shown_in_code_and_kept_elsewhere():
    assert render("a\u202eb") == '<p dir="auto">a\u202eb</p>\n'
    html = render("`a\u202eb`\n\n```python\nx = 1 # \u2066\n```")
    assert [span for span in read(html).named("span") if span.get("class") == "bidi"] == [
        {"class": "bidi", "title": "U+202E"},
        {"class": "bidi", "title": "U+2066"},
    ]
    assert "x = 1 # \u2066" in read(html).text  # so copied code is unchanged


@pytest.mark.parametrize("text", ENORMOUS.values(), ids=ENORMOUS)
def test_the_html_of_enormous_text_is_safe_and_limited(text: str):
    html = render(text)
    assert len(html) < 100 * len(text) + 10_000
    if len(html) < 1_000_000:
        read(html)


def test_text_that_is_nested_too_deeply_is_kept_without_its_elements():
    reader = Reader(render("> " * 1_000 + "deep"))
    assert len(reader.named("blockquote")) == MAX_DEPTH
    assert reader.text.strip() == "deep"


def test_text_that_is_too_long_is_shown_unformatted():
    text = "# <b>\n" * 100_000
    html = render(text)
    assert html.startswith('<pre class="plain" dir="auto">\n# &lt;b&gt;')
    assert Reader(html).text == "\n" + text + "\n"
