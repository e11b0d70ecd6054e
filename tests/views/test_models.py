"""The page that shows staff the site's models."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import actions
from conversations.inference.choice import Choice
from conversations.models import Generation, Status, User
from tests.factories import person
from tests.models import model, registry

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client, settings) -> Client:
    settings.MODELS = registry(
        model(model_id="flash", label="Flash", thinking="switchable", context_tokens=50_000),
        model(model_id="plain", label="Plain", max_output_tokens=4_000),
    )
    ada = person()
    User.objects.update(is_staff=True)
    client.force_login(ada)
    return client


def ended(model_id: str, status: Status, **fields: object) -> None:
    generation = actions.send_message(user=User.objects.get(), content="canary-question", choice=Choice(model_id))
    now = timezone.now()
    times = {
        "started_at": now - timedelta(seconds=8),
        "first_answer_at": now - timedelta(seconds=6),
        "finished_at": now,
    }
    Generation.objects.filter(pk=generation.pk).update(status=status, **times | fields)


def test_staff_sees_limits_state_failures_and_times_of_each_model(staff: Client):
    ended("flash", Status.COMPLETE)
    ended("plain", Status.COMPLETE)
    ended("plain", Status.FAILED, endpoint_error="HTTP 401 invalid_key")
    ended("plain", Status.COMPLETE, model="gone")
    actions.send_message(user=User.objects.get(), content="Why?", choice=Choice("flash"))
    flash, plain, gone = staff.get("/models/").text.split("<h2>")[1:]
    for part, texts in (
        (flash, ("Flash", "Answering; 1 question waiting", "50,000 tokens", "Quick, Normal", "2.0 s", "8.0 s")),
        (
            plain,
            ("Plain", "The last answer failed", "4,000 tokens", "no choice", "2, 1 failed", "HTTP 401 invalid_key"),
        ),
        (gone, ("gone", "Not among this site&#x27;s models", "1, 0 failed")),
    ):
        assert [text for text in texts if text not in part] == []
        assert "canary" not in part


def test_the_page_costs_two_queries_more_than_signing_in(staff: Client):
    staff.get("/models/")
    with CaptureQueriesContext(connection) as executed:
        staff.get("/models/")
    about_generations = [query for query in executed if "conversations_generation" in query["sql"]]
    assert len(about_generations) == 2


def test_staff_sees_who_may_use_how_much_of_a_model_and_which_groups_are_missing(staff: Client, settings):
    assert "do not exist" not in staff.get("/models/").text
    limited = replace(
        settings.MODELS["flash"],
        groups=("Research", "Borad"),
        daily_tokens=20_000,
        daily_tokens_of_groups={"Research": 90_000, "Staf": 50_000},
    )
    settings.MODELS = registry(limited)
    Group.objects.create(name="Research")
    page = staff.get("/models/").text
    assert "groups that do not exist, so nobody is in them: “Borad”, “Staf”. Create them" in page
    assert "<dd>Research, Borad</dd>" in page
    assert "<dd>20,000 for each person; 90,000 in Research; 50,000 in Staf</dd>" in page


def test_nobody_else_finds_the_page(client: Client):
    assert client.get("/models/").headers["Location"].startswith("/accounts/login/")
    client.force_login(person())
    assert client.get("/models/").status_code == 404
    assert "/models/" not in client.get("/").text
