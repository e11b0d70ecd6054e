"""When something was, in words."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from conversations.templatetags import durations

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(minutes=29), "00:01"),
        (timedelta(minutes=31), "yesterday, 23:59"),
        (timedelta(hours=24), "yesterday, 00:30"),
        (timedelta(hours=25), "23 November 2026"),
    ],
)
def test_an_element_says_when_something_was(monkeypatch: pytest.MonkeyPatch, before: timedelta, words: str):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    element = durations.when(NOW - before)
    moment = NOW - before
    assert f'datetime="{moment.isoformat()}" title="{moment.day} November 2026, {moment:%H:%M}:00 UTC"' in element
    assert f">{words}</time>" in element
