"""Rendered texts are kept in memory of limited size."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from conversations.rendering import cache, markdown
from conversations.rendering.cache import ENTRY_BYTES, Cache, key_of
from conversations.rendering.pool import Pool

HTML = "x" * 10_000
EACH = sys.getsizeof(HTML) + ENTRY_BYTES


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were rendered."""
    texts, render = [], markdown.render

    def note(text: str, **options: Any) -> str:
        texts.append(text)
        return render(text, **options)

    monkeypatch.setattr(markdown, "render", note)
    return texts


def test_a_text_is_rendered_once_for_each_message_and_version(rendered: list[str], monkeypatch: pytest.MonkeyPatch):
    pool = Pool(processes=1, seconds=20)
    first = pool.render("Some *text* and \ud800.", "m1")
    assert "<em>text</em>" in first
    assert pool.render("Some *text* and \ud800.", "m1") == first
    assert len(rendered) == 1
    pool.render("Some *text* and \ud800.", "m2")
    pool.render("Other *text*.", "m1")
    monkeypatch.setattr(cache, "VERSION", 0)
    pool.render("Other *text*.", "m1")
    assert len(rendered) == 4


def test_what_was_not_used_for_the_longest_time_is_dropped():
    kept = Cache(3 * EACH)
    keys = [key_of(str(number), "m") for number in range(5)]
    for key in keys[:3]:
        kept.add(key, HTML)
    assert kept.get(keys[0]) == HTML
    kept.add(keys[3], HTML)
    assert [kept.get(key) is not None for key in keys] == [True, False, True, True, False]
    kept.add(keys[4], "字" * 10_000)  # takes twice the memory
    assert [kept.get(key) is not None for key in keys] == [False, False, False, True, True]


def test_what_is_larger_than_the_cache_is_not_kept():
    kept = Cache(EACH)
    kept.add(key_of("small", "m"), HTML)
    kept.add(key_of("large", "m"), HTML * 2)
    assert kept.get(key_of("large", "m")) is None


def test_threads_can_use_the_cache_at_once():
    kept = Cache(20 * EACH)
    keys = [key_of(str(number), "m") for number in range(50)]

    def use(number: int) -> bool:
        kept.add(keys[number % 50], HTML)
        return kept.get(keys[number * 7 % 50]) in (HTML, None)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(4_000)))
    assert sum(kept.get(key) is not None for key in keys) == 20


def test_a_failure_is_not_kept(monkeypatch: pytest.MonkeyPatch):
    kept = []
    monkeypatch.setattr(Cache, "add", lambda _, key, html: kept.append(html))
    pool = Pool(processes=0, seconds=0)
    code = "```\nx\n```"
    assert pool.render(code, "m1") == markdown.preformatted(code)
    assert kept == []
    assert [pool.render("x", "m1")] == kept
