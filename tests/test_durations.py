"""The time since a moment, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from conversations.templatetags import durations

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(hours=24), "yesterday"),
        (timedelta(hours=38), "yesterday"),
        (timedelta(hours=39), "2 days ago"),
        (timedelta(days=7), "7 days ago"),
        (timedelta(days=8), "17 November 2026"),
    ],
)
def test_the_time_since_a_moment_is_in_words(monkeypatch: pytest.MonkeyPatch, before: timedelta, words: str):
    monkeypatch.setattr(durations.timezone, "now", lambda: NOW)
    assert durations.since(NOW - before) == words


@pytest.mark.parametrize(("hours", "updated"), [(23, True), (25, False)])
def test_the_element_has_the_time_and_is_updated_for_a_day(monkeypatch: pytest.MonkeyPatch, hours: int, updated: bool):
    monkeypatch.setattr(durations.timezone, "now", lambda: NOW)
    element = durations.ago(NOW - timedelta(hours=hours))
    assert 'datetime="2026-11-24T1' in element
    assert 'title="24 November 2026, 1' in element
    assert ("data-ago" in element) == updated
