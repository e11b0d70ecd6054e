"""The tokens that people have used: added up when generations end, and kept when conversations are deleted."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import actions
from conversations.generation.commit import Result, finish
from conversations.inference.chunks import Usage
from conversations.models import Conversation, DailyUsage, Status, User
from conversations.models.usage import tokens_today
from tests.factories import claimed, person

pytestmark = pytest.mark.django_db
USED = Usage(prompt_tokens=10, reasoning_tokens=20, answer_tokens=30)


def end(user: User, usage: Usage = USED, model: str = "test-model", status: Status = Status.COMPLETE) -> None:
    worker, claim = claimed(user)
    assert finish(worker.pk, claim, Result(status, "thought", "answer", usage=usage), {"model": model})


def stored(user: User) -> list[tuple[object, ...]]:
    return list(
        DailyUsage.objects.filter(user=user)
        .order_by("day", "model")
        .values_list("day", "model", "input_tokens", "reasoning_tokens", "output_tokens")
    )


def test_tokens_are_added_up_by_user_day_and_model():
    ada, bob, today = person("ada"), person("bob"), timezone.localdate()
    end(ada)
    end(ada, Usage(1, None, 3), status=Status.LENGTH)
    end(ada, model="another")
    end(bob)
    assert stored(ada) == [(today, "another", 10, 20, 30), (today, "test-model", 11, 20, 33)]
    assert (tokens_today(ada), tokens_today(bob)) == (124, 60)


def test_tokens_of_other_days_are_not_those_of_today():
    ada = person()
    end(ada)
    DailyUsage.objects.update(day=timezone.localdate() - timedelta(days=1))
    assert tokens_today(ada) == 0
    end(ada)
    assert tokens_today(ada) == 60


def test_deleting_a_conversation_returns_no_tokens(settings):
    settings.USER_DAILY_TOKENS = 60
    ada = person()
    end(ada)
    actions.delete(conversation=Conversation.objects.get())
    assert not Conversation.objects.exists()
    assert tokens_today(ada) == 60
    with pytest.raises(actions.DailyLimitReached):
        actions.send_message(user=ada, content="And?")


def test_a_result_that_is_not_stored_is_not_counted():
    ada = person()
    worker, claim = claimed(ada)
    result = Result(Status.COMPLETE, "", "answer", usage=USED)
    assert finish(worker.pk, claim, result, {})
    assert not finish(worker.pk, claim, result, {})
    assert tokens_today(ada) == 60


def test_counting_takes_one_statement_at_the_end_and_none_without_tokens():
    def statements(usage: Usage) -> int:
        worker, claim = claimed(ada)
        with CaptureQueriesContext(connection) as executed:
            finish(worker.pk, claim, Result(Status.COMPLETE, "", "answer", usage=usage), {"model": "m"})
        return len(executed)

    ada = person()
    without = statements(Usage())
    assert DailyUsage.objects.count() == 0
    assert statements(USED) == without + 1
    assert statements(USED) == without + 1  # also when it adds to a row


def test_the_migration_counts_what_has_ended(monkeypatch: pytest.MonkeyPatch):
    migration = import_module("conversations.migrations.0017_daily_usage")
    monkeypatch.setattr(migration, "BATCH", 2)
    ada, bob = person("ada"), person("bob")
    for model in ("one", "two", "three"):
        end(ada, model=model)
    end(ada, Usage(1, None, 3), model="one")
    end(ada, Usage(), model="none")
    end(bob)
    claimed(bob)
    counted = stored(ada), stored(bob)
    DailyUsage.objects.all().delete()
    migration.add_past_usage(apps, None)
    assert (stored(ada), stored(bob)) == counted
    assert len(counted[0]) == 3


def test_deleting_a_user_deletes_their_usage():
    ada, bob = person("ada"), person("bob")
    end(ada)
    end(bob)
    ada.delete()
    assert list(DailyUsage.objects.values_list("user", flat=True)) == [bob.pk]
