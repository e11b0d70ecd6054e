"""Reservations of the day's tokens: made when a generation is queued, and over when it is, however it ends."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chatsite.time_zones import site_day
from conversations import actions
from conversations.generation import recovery
from conversations.generation.commit import Progress, Result, claim, commit, fail, finish
from conversations.inference import allowance
from conversations.inference.allowance import charge, output_limit
from conversations.inference.choice import Choice
from conversations.inference.chunks import Usage
from conversations.inference.errors import TooFewTokens
from conversations.models import Conversation, Generation, Kind, Status, User, Worker, usage
from conversations.models.access import daily_limits
from conversations.models.usage import balance
from tests.factories import claimed, person, queued
from tests.models import model, registry
from tests.site import run_module

pytestmark = pytest.mark.django_db
PROMPT = 9  # tokens of "Why?", as estimated
A_DAY, ANSWER = 10_000, 900


@pytest.fixture(autouse=True)
def limit(settings) -> None:
    settings.USER_DAILY_TOKENS, settings.MODELS = A_DAY, registry(model(max_output_tokens=ANSWER))


def used_before(user: User, tokens: int, model_id: str = "") -> None:
    """Let this user have used so many tokens today."""
    worker, generation = Worker.objects.create(), ask(user, model_id)
    result = Result(Status.COMPLETE, "", "Yes", usage=Usage(tokens, None, None))
    assert finish(worker.pk, claim(worker.pk, generation.pk), result, {})


def reserved(user: User) -> int:
    return balance(user).reserved


def ask(user: User, model_id: str = "", content: str = "Why?") -> Generation:
    return actions.send_message(user=user, content=content, choice=Choice(model_id))


def refusal(user: User, content: str = "Why?", model_id: str = "") -> str:
    with pytest.raises(actions.DailyLimitReached) as refused:
        ask(user, model_id, content)
    return str(refused.value)


def test_queueing_reserves_the_prompt_with_its_history_and_the_longest_answer():
    ada = person()
    first = queued(ada)
    assert reserved(ada) == PROMPT + ANSWER
    queued(ada, "And then?", first.conversation)
    assert reserved(ada) == PROMPT + ANSWER + PROMPT + 11 + ANSWER
    assert reserved(person("bob")) == 0


def test_what_is_left_of_the_day_is_reserved_if_that_is_less():
    ada = person()
    used_before(ada, A_DAY - 700)
    generation = queued(ada)
    generation.refresh_from_db()
    assert generation.reserved_tokens == 700
    assert "may need 700 of today's 10,000 tokens" in refusal(ada)


def test_a_prompt_is_refused_with_what_is_left_and_when_there_is_more(monkeypatch: pytest.MonkeyPatch):
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    monkeypatch.setattr(allowance, "start_of_next_day", lambda: moment)
    ada = person()
    used_before(ada, A_DAY - 600)
    before = Conversation.objects.count()
    assert refusal(ada, "Why? " * 100) == (
        "With its conversation, this question needs about 674 tokens, and you have 600 of today's 10,000 left."
        " Shorten it, start a new conversation, or ask again after 00:00 on 2 March (UTC)."
    )
    assert (Conversation.objects.count(), reserved(ada)) == (before, 0)  # nothing remains of it
    used_before(ada, 600)
    assert refusal(ada).startswith("You've used 10,000 of today's 10,000 tokens. You can ask again after")


def test_the_reservation_takes_one_statement_more_than_the_check_before_it_and_none_without_a_limit(settings):
    def statements() -> int:
        with CaptureQueriesContext(connection) as executed:
            queued(ada, conversation=conversation)
        return len(executed)

    ada = person()
    conversation = queued(ada).conversation
    limited = statements()
    settings.USER_DAILY_TOKENS = 0
    assert statements() == limited - 2  # the length of the history, and the reservation; the check was one


def test_a_resend_gets_the_first_generation_even_if_nothing_is_left():
    ada, key = person(), "7f1f8f7e-5a3b-4a52-9f0c-0d6b1c3c2a11"
    first = actions.send_message(user=ada, content="Why?", key=key)
    used_before(ada, A_DAY)
    assert actions.send_message(user=ada, content="Why?", key=key) == first


def cancel(generation: Generation) -> None:
    assert actions.cancel(generation=generation) == ("Why?", [])


def stop(generation: Generation) -> None:
    actions.stop(generation=generation)


def delete(generation: Generation) -> None:
    actions.delete_at_once(conversation=generation.conversation)


def reject(generation: Generation) -> None:
    assert recovery.reject(generation.pk)


def deactivate(generation: Generation) -> None:
    User.objects.update(is_active=False)
    recovery.stop_queued_of_deactivated()


def complete(generation: Generation) -> None:
    worker = Worker.objects.create()
    assert finish(worker.pk, claim(worker.pk, generation.pk), Result(Status.COMPLETE, "", "Yes"), {})


def fail_to_store(generation: Generation) -> None:
    worker = Worker.objects.create()
    assert fail(worker.pk, claim(worker.pk, generation.pk), Result(Status.COMPLETE, "", "Yes"))


def delete_while_running(generation: Generation) -> None:
    claim(Worker.objects.create().pk, generation.pk)
    actions.delete_at_once(conversation=generation.conversation)


def crash_with_text(generation: Generation) -> None:
    worker = Worker.objects.create()
    claim(worker.pk, generation.pk)
    commit(worker.pk, [Progress(generation.pk, 1, 0, [(Kind.ANSWER, "Yes")])])
    recovery.recover_orphans([worker.pk])


def crash_too_often(generation: Generation) -> None:
    for _ in range(recovery.MAX_ATTEMPTS):
        assert reserved(generation.owner) == PROMPT + ANSWER  # queued again, it keeps its reservation
        worker = Worker.objects.create()
        claim(worker.pk, generation.pk)
        recovery.recover_orphans([worker.pk])


@pytest.mark.parametrize(
    "end",
    [
        cancel,
        stop,
        delete,
        reject,
        deactivate,
        complete,
        fail_to_store,
        delete_while_running,
        crash_with_text,
        crash_too_often,
    ],
)
def test_a_reservation_is_over_however_its_generation_ends(end: Callable[[Generation], None]):
    generation = queued(person())
    assert reserved(generation.owner) == PROMPT + ANSWER
    end(generation)
    assert reserved(generation.owner) == 0


def test_answer_now_can_use_what_the_stopped_answer_leaves():
    ada = person()
    used_before(ada, A_DAY - 800)  # all of which the first one reserves
    worker, claim = claimed(ada)
    commit(worker.pk, [Progress(claim.generation_id, 1, 0, [(Kind.REASONING, "Hm. " * 6)])])
    first = Generation.objects.get(pk=claim.generation_id)
    follow_up = queued_without_limit(ada, first.conversation)
    second = actions.answer_now(user=ada, generation=first)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.reserved_tokens, second.reserved_tokens) == (PROMPT + 16, 800 - PROMPT - 16 - 1)
    [moved] = Generation.objects.filter(conversation=first.conversation, pk__gt=second.pk)
    assert (moved.message_id, moved.reserved_tokens) == (follow_up.message_id, 1)


def queued_without_limit(user: User, conversation: Conversation) -> Generation:
    generation = Generation.objects.get(conversation=conversation)
    prompt = conversation.messages.create(role="user", parent=generation.message, content="And?")
    answer = conversation.messages.create(role="assistant", parent=prompt)
    return Generation.objects.create(message=answer, conversation=conversation, owner=user, reserved_tokens=1)


def test_the_endpoint_is_asked_for_no_more_than_was_reserved():
    ada = person()
    full = queued(ada)
    full.refresh_from_db()
    with CaptureQueriesContext(connection) as executed:
        assert output_limit(full, PROMPT) is None  # the endpoint's own limit is low enough
    assert len(executed) == 0
    used_before(ada, A_DAY - 1_500)
    capped = queued(ada)
    capped.refresh_from_db()
    assert output_limit(capped, PROMPT).tokens == 1_500 - (PROMPT + ANSWER) - PROMPT
    actions.cancel(generation=full)
    assert output_limit(capped, PROMPT) is None  # more is left than when it was queued


def test_a_history_that_has_grown_since_is_reserved_before_it_is_sent():
    ada = person()
    generation = queued(ada)
    generation.refresh_from_db()
    assert output_limit(generation, 5_000) is None
    assert generation.reserved_tokens == 5_000 + ANSWER
    User.objects.filter(pk=ada.pk).update(time_zone="Asia/Tokyo")
    limit = output_limit(generation, 9_500)
    assert (limit.tokens, "after 09:00 on " in limit.notice) == (500, True)
    with pytest.raises(TooFewTokens) as refused:
        output_limit(generation, 9_501)
    assert "(Asia/Tokyo)" in refused.value.notice(has_text=False)
    assert reserved(ada) == A_DAY  # as before


def test_a_generation_that_was_queued_without_a_limit_is_not_limited():
    generation = queued(person())
    Generation.objects.update(reserved_tokens=None)
    generation.refresh_from_db()
    assert output_limit(generation, A_DAY) is None


def test_what_is_queued_before_midnight_counts_for_the_day_of_its_end(monkeypatch: pytest.MonkeyPatch):
    ada = person()
    used_before(ada, A_DAY - PROMPT - ANSWER)
    generation = queued(ada)
    tomorrow = site_day() + timedelta(days=1)
    monkeypatch.setattr(usage, "site_day", lambda moment=None: tomorrow)
    assert balance(ada) == (0, PROMPT + ANSWER)
    worker = Worker.objects.create()
    result = Result(Status.COMPLETE, "", "Yes", usage=Usage(10, None, 20))
    assert finish(worker.pk, claim(worker.pk, generation.pk), result, {})
    assert balance(ada) == (30, 0)


@pytest.fixture
def two_models(settings) -> None:
    """Without a limit for all models: one with a limit, higher for a group, and one without."""
    pro, flash = (model(model_id=name, label=name.title(), max_output_tokens=ANSWER) for name in ("pro", "flash"))
    pro = replace(pro, daily_tokens=2_000, daily_tokens_of_groups={"Research": 9_000, "Visitors": 100})
    settings.USER_DAILY_TOKENS, settings.MODELS = 0, registry(pro, flash)


@pytest.mark.usefixtures("two_models")
def test_a_models_limit_counts_its_own_tokens_alone():
    ada = person()
    used_before(ada, 50_000, "flash")
    used_before(ada, 1_400, "pro")
    generation = ask(ada, "pro")
    generation.refresh_from_db()
    assert generation.reserved_tokens == 600
    assert "may need 600 of today's 2,000 tokens for Pro, and too few" in refusal(ada, model_id="pro")
    actions.cancel(generation=generation)
    sentence = refusal(ada, "Why? " * 300, "pro")
    assert "and you have 600 of today's 2,000 left for Pro. Shorten it, start a new conversation, choose" in sentence
    assert "choose another model, or ask again after 00:00" in sentence
    used_before(ada, 600, "pro")
    expected = "You've used 2,000 of today's 2,000 tokens for Pro. Choose another model, or ask again after 00:00"
    assert refusal(ada, model_id="pro").startswith(expected)
    other = ask(ada, "flash")
    other.refresh_from_db()
    assert other.reserved_tokens is None  # not limited
    ask(person("bob"), "pro")


@pytest.mark.usefixtures("two_models")
def test_the_lower_of_two_limits_counts_and_is_named(settings):
    settings.USER_DAILY_TOKENS = 3_000
    ada = person()
    used_before(ada, 1_000, "flash")
    used_before(ada, 1_400, "pro")
    generation = ask(ada, "pro")
    generation.refresh_from_db()
    assert generation.reserved_tokens == 600  # which both leave
    assert "may need 600 of today's 3,000 tokens, and too few" in refusal(ada, model_id="flash")
    settings.USER_DAILY_TOKENS = 10_000
    assert "today's 2,000 tokens for Pro" in refusal(ada, model_id="pro")
    limit = output_limit(generation, PROMPT)
    assert (limit.tokens, "left of today's tokens for Pro. You can" in limit.notice) == (600 - PROMPT, True)
    with pytest.raises(TooFewTokens) as refused:
        output_limit(generation, 5_000)
    assert "you have 600 of today's 2,000 left for Pro" in refused.value.notice(has_text=False)


@pytest.mark.usefixtures("two_models")
def test_the_highest_number_of_somebodys_groups_is_their_limit(settings):
    ada, limits = person(), []
    for group in ("Visitors", "Research"):
        ada.groups.add(Group.objects.create(name=group))
        ada = User.objects.get()
        limits += [limit.tokens for limit in daily_limits(ada, settings.MODELS.values())]
    assert limits == [2_000, 9_000]
    used_before(ada, 8_900, "pro")
    assert "today's 9,000 left for Pro" in refusal(ada, "Why? " * 100, "pro")


@pytest.mark.usefixtures("two_models")
def test_a_title_is_charged_within_the_limit_of_its_model(settings):
    ada = person()
    used_before(ada, 1_900, "pro")
    generation = ask(ada, "flash")
    assert charge(generation.pk, ada.pk, settings.MODELS["pro"], Usage(51, None, 50)) is None
    assert balance(ada) == (1_900, 0)  # nothing remains of it
    assert charge(generation.pk, ada.pk, settings.MODELS["flash"], Usage(51, None, 50))
    assert charge(generation.pk, ada.pk, settings.MODELS["pro"], Usage(50, None, 50))


def test_preferences_show_what_is_used_and_reserved(client: Client):
    ada = person()
    used_before(ada, 1_234)
    queued(ada)
    client.force_login(ada)
    client.cookies["time_zone"] = "Asia/Tokyo"
    page = client.get("/preferences/").content.decode()
    assert "You've used 1,234 of today's 10,000 tokens." in page
    assert "may need 909 more. The count resets at 09:00 on " in page
    assert "(Asia/Tokyo)" in page


MODELS = f"""
endpoints.e = {{base_url = "http://127.0.0.1:9/v1"}}
[[models]]
id = "limited"
endpoint = "e"
max_output_tokens = 200
daily_tokens = {PROMPT + 220}
[[models]]
id = "free"
endpoint = "e"
max_output_tokens = 200
"""


@pytest.mark.django_db(databases=[])
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_concurrent_prompts_exceed_neither_a_models_limit_nor_that_of_all_models(
    database: str, request: pytest.FixtureRequest, database_template: Path, tmp_path: Path
):
    if database == "sqlite":
        url = f"sqlite:///{shutil.copy(database_template, tmp_path / 'db.sqlite3')}"
    else:
        url = request.getfixturevalue("postgresql_database")
    asked = run_module("tests.rivals", DATABASE_URL=url, USER_DAILY_TOKENS=2 * (PROMPT + 200) + 20, MODELS=MODELS)
    one = {"accepted": 1, "refused": 19, "reserved": [PROMPT + 200]}
    assert json.loads(asked.stdout) == {"limited": one, "free": one}
