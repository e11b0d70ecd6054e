"""Usage figures: what they count and for whom, and that they contain no content."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.figure import Figure
from conversations.models import Conversation, Feedback, Generation, Status, User
from conversations.models.usage import add_usage
from conversations.review import figures
from conversations.review.models import DailyCounts, QueueItem
from tests import models
from tests.factories import person
from tests.review.factories import answered, make_user
from tests.review.run_figures import figures_of_known_answers
from tests.site import run_module

pytestmark = pytest.mark.django_db
FIGURES = "/admin/conversations/conversation/figures/"


@pytest.fixture
def reviewer() -> User:
    return make_user("list-only")


def figure(reviewer: User, name: str) -> Figure:
    return next(found for found in figures.build(reviewer, *figures.last_days()) if found.name == name)


def test_answers_are_counted_by_day_model_outcome_and_error(reviewer: User):
    one, other = person("one"), person("other")
    answered(one, 1)
    answered(one, 1, reasoning_tokens=300, repetition_at=700)
    answered(other, 1, status=Status.FAILED, error="The model could not be reached.")
    _, *counts = figure(reviewer, "days").rows[-1]
    assert counts == [3, 2, 1, 1]  # answers, people, failed, repeated themselves
    assert figure(reviewer, "models").rows == [("test-model", 3, 100)]
    assert figure(reviewer, "outcomes").rows == [("Complete", 2), ("Failed", 1)]
    assert figure(reviewer, "failures").rows == [("The model could not be reached.", 1)]
    assert ("100 to 500", 1) in figure(reviewer, "thinking").rows


def test_models_are_named_by_their_labels(reviewer: User, settings):
    settings.MODELS = models.registry(models.model(model_id="test-model", label="Test Model"))
    generation = answered(person("one"), 1, depth="deep")
    add_usage(generation.pk, timezone.now(), (1, 2, 3))
    assert figure(reviewer, "models").rows[0][0] == "Test Model"
    assert figure(reviewer, "depths").rows[0][0] == "Test Model"
    assert figure(reviewer, "tokens").rows[-1][1] == "Test Model"


def test_tokens_are_those_of_the_ledger_by_the_sites_day_and_model(reviewer: User, client: Client):
    owner, today = person("owner"), timezone.localdate()
    for model in ("one", "two"):
        generation = answered(owner, 1, model=model)
        add_usage(generation.pk, timezone.now(), (10, None, 30))
    add_usage(generation.pk, timezone.now() - timedelta(days=1), (1, 2, 3))
    rows = [
        *(((today - timedelta(days=ago)).isoformat(), None, 0, 0, 0, 0) for ago in range(29, 1, -1)),
        ((today - timedelta(days=1)).isoformat(), "two", 6, 1, 2, 3),
        (today.isoformat(), "one", 40, 10, 0, 30),
        (today.isoformat(), "two", 40, 10, 0, 30),
    ]
    assert figure(reviewer, "tokens").rows == rows
    Conversation.objects.all().delete()
    owner.delete()
    assert figure(reviewer, "tokens").rows == rows
    reviewer.review_limited = True
    reviewer.save()
    assert figure(reviewer, "tokens").rows == []


@pytest.mark.parametrize("zone", ["Etc/GMT-14", "Etc/GMT+12"])
def test_days_are_the_sites_for_every_reviewer(reviewer: User, zone: str):
    generation = answered(person("owner"), 1)
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    Generation.objects.filter(pk=generation.pk).update(created_at=midnight)
    with timezone.override(zone):
        days = [day for day, answers, *_ in figure(reviewer, "days").rows if answers]
    assert days == [midnight.date().isoformat()]


def test_response_times_are_given_as_median_and_percentile(reviewer: User):
    owner = person("owner")
    for seconds in range(1, 21):
        answered(owner, seconds)
    rows = {label: (median, percentile) for label, median, percentile in figure(reviewer, "times").rows}
    assert rows["Start to end of generation"] == (10.0, 19.0)
    assert rows["Question to first reasoning"] == (5.0, 9.5)
    assert rows["Question to start of answer"] == (None, None)


def test_reasoning_tokens_are_averaged_by_rating(reviewer: User):
    owner = person("owner")
    for tokens, rating in ((100, "good"), (300, "good"), (5000, "bad")):
        message = answered(owner, 1, reasoning_tokens=tokens).message
        Feedback.objects.create(message=message, conversation=message.conversation, rating=rating)
    assert figure(reviewer, "ratings").rows == [("Poor", 1, 5000, 5000), ("Good", 2, 200, 100)]


def test_use_failures_and_times_are_shown_by_model_and_depth(reviewer: User):
    owner = person("owner")
    for seconds in (2, 4, 20):
        answered(owner, seconds, model="one", depth="deep")
    answered(owner, 1, model="one", depth="quick", status=Status.FAILED, first_thought_at=None)
    old = answered(owner, 8, model="one", first_answer_at=timezone.now())  # from before there were depths
    Generation.objects.filter(pk=old.pk).update(first_answer_at=old.finished_at, depth=None)
    answered(owner, 6, model="another", depth="normal")
    expected = [
        ("another", "Normal", 1, 0, 3.0, 3.0, None, None),
        ("one", None, 1, 0, 4.0, 4.0, 8.0, 8.0),
        ("one", "Quick", 1, 1, None, None, None, None),
        ("one", "Deep", 3, 0, 2.0, 10.0, None, None),
    ]
    assert figure(reviewer, "depths").rows == expected
    DailyCounts.objects.all().delete()
    Generation.objects.update(created_at=timezone.now() - timedelta(days=2))
    Generation.objects.update(first_thought_at=None, first_answer_at=None)
    for _ in range(2):  # the second time, that day is stored
        assert [row[:4] for row in figure(reviewer, "depths").rows] == [row[:4] for row in expected]
    reviewer.review_limited = True
    reviewer.save()
    assert figure(reviewer, "depths").rows == []


def test_a_day_that_an_earlier_version_counted_has_models_without_depths(reviewer: User):
    day = timezone.localdate() - timedelta(days=3)
    answers = [["one", "complete", "", 5, 100, 0, 0, 0, 0, 0], ["one", "failed", "No.", 2, 0, 0, 0, 0, 0, 0]]
    counts = {"people": 2, "repeated": 0, "live": 0, "answers": answers, "times": [[[10, 7]], [], []]}
    DailyCounts.objects.create(zone=timezone.get_default_timezone_name(), day=day, counts=counts)
    assert figure(reviewer, "depths").rows == [("one", None, 7, 2, None, None, None, None)]


def test_reasoning_tokens_are_compared_with_ratings_by_model_and_depth(reviewer: User):
    owner = person("owner")
    cases = ((900, "good", "deep"), (700, "good", "deep"), (100, "bad", "deep"), (None, "good", "quick"))
    for tokens, rating, depth in cases:
        message = answered(owner, 1, model="one", depth=depth, reasoning_tokens=tokens).message
        Feedback.objects.create(message=message, conversation=message.conversation, rating=rating)
    assert figure(reviewer, "depth-ratings").rows == [
        ("one", "Quick", "Good", 1, 0, 0),
        ("one", "Deep", "Poor", 1, 100, 100),
        ("one", "Deep", "Good", 2, 800, 700),
    ]


@pytest.mark.postgresql
def test_figures_are_the_same_on_postgresql(postgresql_database: str):
    expected = figures_of_known_answers()
    assert [row[:4] for row in expected["depths"]] == [
        ["Another", None, 1, 0],
        ["one", "Quick", 1, 1],
        ["one", "Deep", 3, 0],
    ]
    assert json.loads(run_module("tests.review.run_figures", DATABASE_URL=postgresql_database).stdout) == expected


def test_a_scoped_reviewer_sees_only_figures_of_their_groups(reviewer: User):
    inside, outside = person("inside"), person("outside")
    group = Group.objects.create(name="Pilots")
    inside.groups.add(group)
    answered(inside, 1)
    answered(outside, 1)
    assert figure(reviewer, "outcomes").rows == [("Complete", 2)]
    reviewer.review_limited = True
    reviewer.save()
    assert figure(reviewer, "outcomes").rows == []
    reviewer.review_groups.add(group)
    assert figure(reviewer, "outcomes").rows == [("Complete", 1)]


def test_every_day_of_the_period_has_a_row_until_today(reviewer: User, client: Client):
    today = timezone.localdate()
    generation = answered(person("owner"), 1)
    add_usage(generation.pk, timezone.now(), (1, 2, 3))
    QueueItem.objects.create(conversation=generation.conversation, message=generation.message, why="A rule")
    for _ in range(2):  # the second time, past days are stored
        built = figures.build(reviewer, today - timedelta(days=400), today + timedelta(days=3))
        rows = {found.name: found.rows for found in built}
        for name in ("days", "tokens", "reviews"):
            days = [day for day, *_ in rows[name]]
            assert days == [(today - timedelta(days=ago)).isoformat() for ago in range(400, -1, -1)], name
        assert rows["days"][0][1:] == (0, 0, 0, 0)
    client.force_login(reviewer)
    tomorrow = today + timedelta(days=1)
    assert f">{tomorrow}<" not in client.get(f"{FIGURES}?since={today}&until={tomorrow}").text
    assert client.get(f"{FIGURES}?since={tomorrow}&until={tomorrow}").text.count("No data for this period.") == 10


def test_a_longer_period_needs_no_more_queries(reviewer: User):
    answered(person("owner"), 1)

    def count_queries(days: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            figures.build(reviewer, *figures.last_days(days))
        return len(queries)

    figures.build(reviewer, *figures.last_days(300))
    assert count_queries(300) == count_queries(2)


def test_bars_stand_in_the_table_beside_their_values_which_can_be_downloaded(client: Client, reviewer: User):
    owner = person("owner")
    for _ in range(3):
        answered(owner, 1, model="=evil()")
    answered(owner, 1, model="other")
    client.force_login(reviewer)
    page = client.get(FIGURES).text
    models = page.split('id="figure-models"')[1].split("</section>")[0]
    cells = (
        r'<th scope="row">([^<]*)</th><td><div class="bar"><svg width="([\d.]+)%"[^>]*><rect[^>]*/></svg>(\d+)</div>'
    )
    assert re.findall(cells, models) == [("=evil()", "70.0", "3"), ("other", "23.3", "1")]
    days = page.split('id="figure-days"')[1].split("</section>")[0]
    assert days.count('<div class="bar">0</div>') == 29  # no bar, but its value
    assert "Days are those of the site, in UTC." in page
    assert "style=" not in page
    assert "canary" not in page
    table = client.get(f"{FIGURES}models.csv").content.decode()
    rows = [["Model", "Answers", "Tokens per answer"], ["'=evil()", "3", "0"], ["other", "1", "0"]]
    assert list(csv.reader(io.StringIO(table))) == rows
    assert client.get(f"{FIGURES}nothing.csv").status_code == 404


def test_an_invalid_period_is_rejected_with_an_error(client: Client, reviewer: User):
    client.force_login(reviewer)
    assert "0 to 366 days" in client.get(f"{FIGURES}?since=2020-01-01&until=2026-01-01").content.decode()
    assert client.get(f"{FIGURES}?since=yesterday").status_code == 200


def test_figures_need_the_permission_to_list(client: Client):
    client.force_login(make_user("superuser"))
    assert client.get(FIGURES).status_code == 403
