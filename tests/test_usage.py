"""The tokens that people have used: added up when generations end, and kept when conversations are deleted."""

from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import actions
from conversations.generation import commit as generation_commit
from conversations.generation.commit import Progress, Result, commit, fail, finish
from conversations.generation.recovery import recover_orphans, release, resume
from conversations.inference.allowance import estimate_prompt, usage_at_end
from conversations.inference.chunks import Usage
from conversations.inference.prompt import estimate_tokens, to_messages
from conversations.models import Conversation, DailyUsage, Generation, Kind, Message, Status, User, Worker
from conversations.models.usage import add_usage, balance
from tests.factories import claimed, person, queued
from tests.models import model, registry

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
    assert (balance(ada).used, balance(bob).used) == (124, 60)


def test_tokens_of_other_days_are_not_those_of_today():
    ada = person()
    end(ada)
    DailyUsage.objects.update(day=timezone.localdate() - timedelta(days=1))
    assert balance(ada).used == 0
    end(ada)
    assert balance(ada).used == 60


def test_deleting_a_conversation_returns_no_tokens(settings):
    settings.USER_DAILY_TOKENS = 60
    ada = person()
    end(ada)
    actions.delete_at_once(conversation=Conversation.objects.get())
    assert not Conversation.objects.exists()
    assert balance(ada).used == 60
    with pytest.raises(actions.DailyLimitReached):
        actions.send_message(user=ada, content="And?")


def test_a_result_that_is_not_stored_is_not_counted():
    ada = person()
    worker, claim = claimed(ada)
    result = Result(Status.COMPLETE, "", "answer", usage=USED)
    assert finish(worker.pk, claim, result, {})
    assert not finish(worker.pk, claim, result, {})
    assert balance(ada).used == 60


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
    for name in ("one", "two", "three"):
        end(ada, model=name)
    end(ada, Usage(1, None, 3), model="one")
    end(ada, Usage(), model="none")
    end(bob)
    claimed(bob)
    counted = stored(ada), stored(bob)
    DailyUsage.objects.all().delete()
    migration.add_past_usage(apps, None)
    assert (stored(ada), stored(bob)) == counted
    assert len(counted[0]) == 3


def test_an_answer_that_is_stopped_early_counts_an_estimate_of_its_prompt_and_text(settings):
    settings.MODELS = registry(model())
    ada = person()
    worker, claim = claimed(ada)
    actions.stop(generation=Generation.objects.get())
    commit(worker.pk, [Progress(claim.generation_id, 1, 0, [(Kind.REASONING, "Hm. " * 30), (Kind.ANSWER, "Yes")])])
    assert release(worker.pk, claim, "", stopped=True)
    assert stored(ada) == [(timezone.localdate(), "m", 9, 48, 9)]
    generation = Generation.objects.get()
    assert (generation.prompt_tokens, generation.reasoning_tokens, generation.answer_tokens) == (9, 48, 9)
    assert generation.tokens_estimated


@pytest.mark.parametrize(
    ("status", "text", "reported", "expected"),
    [
        (Status.COMPLETE, "Yes", Usage(3, None, 5), Usage(3, None, 5)),
        (Status.COMPLETE, "Yes", Usage(), Usage(40, None, 9, is_estimate=True)),
        (Status.STOPPED, "", None, Usage(40, None, None, is_estimate=True)),
        (Status.INTERRUPTED, "Yes", None, Usage(40, None, 9, is_estimate=True)),
        (Status.FAILED, "", None, Usage()),
    ],
)
def test_what_the_endpoint_does_not_report_is_estimated(
    status: Status, text: str, reported: Usage | None, expected: Usage
):
    assert usage_at_end(status, 40, "", text, reported) == expected
    assert usage_at_end(Status.STOPPED, 0, "", "", reported) == (reported or Usage())  # nothing was sent


def test_the_prompt_is_estimated_with_its_whole_history(settings):
    settings.SYSTEM_PROMPT = "Be brief." * 10
    ada = person()
    worker, claim = claimed(ada)
    assert finish(worker.pk, claim, Result(Status.COMPLETE, "thought" * 100, "ä" * 600), {})
    first = Generation.objects.get()
    second = actions.send_message(user=ada, content="And?", conversation=first.conversation)
    actions.edit(user=ada, prompt=second.message.prompt, content="Another version, which is not sent")
    sent = to_messages(
        [first.message.prompt, Message.objects.get(pk=first.message_id), second.message.prompt], settings.SYSTEM_PROMPT
    )
    with CaptureQueriesContext(connection) as executed:
        estimate = estimate_prompt(second)
    assert estimate == sum(estimate_tokens(message["content"]) for message in sent)
    assert len(executed) == 1
    settings.MODELS = registry(model(context_tokens=300))
    assert estimate_prompt(second) == 300


def test_deleting_a_conversation_counts_what_its_running_answer_has_used():
    ada = person()
    worker, claim = claimed(ada)
    queued(ada, conversation=Generation.objects.get().conversation)  # this one has used nothing
    commit(worker.pk, [Progress(claim.generation_id, 1, 0, [(Kind.ANSWER, "Yes" * 10)], fields={"model": "m"})])
    actions.delete_at_once(conversation=Conversation.objects.get())
    assert not Generation.objects.exists()
    assert not finish(worker.pk, claim, Result(Status.STOPPED, "", "Yes" * 10, usage=USED), {})
    assert stored(ada) == [(timezone.localdate(), "m", 9, 0, 18)]


def test_an_answer_that_is_resumed_after_its_end_is_counted_once():
    ada = person()
    worker, claim = claimed(ada)
    commit(worker.pk, [Progress(claim.generation_id, 1, 0, [(Kind.ANSWER, "Yes")], fields={"model": "m"})])
    recover_orphans([worker.pk])
    assert balance(ada).used == 18
    DailyUsage.objects.update(day=timezone.localdate() - timedelta(days=1))
    Generation.objects.update(finished_at=timezone.now() - timedelta(days=1))  # midnight passes meanwhile
    other = Worker.objects.create()
    assert resume(other.pk, claim, Status.ANSWERING, timezone.now(), ("", ""), ("", "Yes"))
    assert DailyUsage.objects.filter(user=ada).tokens() == 0
    assert finish(other.pk, claim, Result(Status.COMPLETE, "", "Yes", usage=USED), {})
    assert (DailyUsage.objects.filter(user=ada).tokens(), balance(ada).used) == (60, 60)


def test_text_that_cannot_be_stored_is_counted_all_the_same(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_arguments: object) -> None:
        raise ValueError("not text")

    ada = person()
    worker, claim = claimed(ada)
    monkeypatch.setattr(generation_commit, "update_message", refuse)
    assert fail(worker.pk, claim, Result(Status.COMPLETE, "", "Yes", usage=USED))
    assert (Generation.objects.get().error, balance(ada).used) == (generation_commit.NOT_STORED, 60)


def test_tokens_count_on_the_sites_day_whatever_zone_a_page_is_shown_in(settings):
    ended_at = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    _, claim = claimed(ada := person())
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        add_usage(claim.generation_id, ended_at, (1, 2, 3))
    assert [day for day, *_ in stored(ada)] == [date(2026, 3, 1)]
