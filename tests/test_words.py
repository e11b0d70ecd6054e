"""Words are counted in every script, and old rows' by the migration."""

from importlib import import_module

import pytest
from django.apps import apps

from conversations.models import Generation, Message, Status
from conversations.models.words import count_words
from tests.factories import person, queued


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
def test_words_are_counted_as_people_of_each_script_count_them(text: str, words: int):
    assert count_words(text) == words


@pytest.mark.django_db
def test_the_migration_counts_what_had_been_thought_before(monkeypatch: pytest.MonkeyPatch):
    migration = import_module("conversations.migrations.0012_words_of_reasoning")
    monkeypatch.setattr(migration, "BATCH", 1)
    user = person()
    thoughts = {queued(user).message_id: text for text in ("So it is.", "你好", "", "Not yet.")}
    for pk, text in thoughts.items():
        Message.objects.filter(pk=pk).update(reasoning=text)
    live = max(thoughts)
    Generation.objects.exclude(message=live).update(status=Status.COMPLETE)
    migration.count(apps, None)
    counted = dict(Message.objects.filter(pk__in=thoughts).values_list("pk", "reasoning_words"))
    assert list(counted.values()) == [3, 2, 0, None]
