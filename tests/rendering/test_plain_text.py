"""Markdown as plain text."""

import pytest

from conversations.rendering.plain_text import QUOTED, beginning, to_plain_text


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("", ""),
        ("# Head\n\nSome *words* and `code`,\nthen **more**.", "Head\n\nSome words and code,\nthen more."),
        ("- a\n- b\n  - c\n\n3. d\n4. e", "- a\n- b\n   - c\n\n3. d\n4. e"),
        ("- [x] done\n- [ ] open", "- [x] done\n- [ ] open"),
        ("| a | b |\n|---|--:|\n| 1 | 2 |", "a\tb\n1\t2"),
        ("[here](https://a.example) and <https://b.example>", "here (https://a.example) and https://b.example"),
        ("```python\nif x:\n\n    y\n```\n\nEnd", "if x:\n\n    y\n\nEnd"),
        ("```\n```", ""),
        ("1. so:\n\n   ```\n   a\n     b\n   ```", "1. so:\n   a\n     b"),
        (r"\(x^2\) and $y$", r"\(x^2\) and $y$"),
        ("> said[^1]\n\n[^1]: Where.", "said[1]\n\n[1] Where."),
        ("a <b>c</b> &amp; d", "a <b>c</b> & d"),
    ],
)
def test_markup_is_removed_and_text_is_kept(markdown: str, text: str):
    assert to_plain_text(markdown).rstrip("\n") == text


def test_a_quotation_is_the_beginning_without_markup_on_one_line():
    assert beginning("# Title\n\nUse a **copy** of `it`:\n\n- [one](https://example.org)") == (
        "Title Use a copy of it: - one (https://example.org)"
    )
    long = beginning("**word** " * 50_000)
    assert len(long) == QUOTED
    assert long.startswith("word word ")
    assert long.endswith("…")
