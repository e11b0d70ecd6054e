import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chatsite.time_zones import site_day
from conversations.models import DailyUsage, User
from conversations.models.usage import TOKENS
from conversations.models.user import ReasoningVisibility, Theme
from tests.factories import person
from tests.models import model, registry

pytestmark = pytest.mark.django_db


def test_preferences_are_saved_and_apply_to_every_page(client: Client):
    client.force_login(person())
    assert "data-theme" not in client.get("/").content.decode()
    choice = {"theme": Theme.DARK, "reasoning": ReasoningVisibility.NEVER}  # an unchecked box is not sent
    assert client.post("/preferences/", choice).status_code == 302
    user = User.objects.get()
    assert (user.theme, user.reasoning, user.single_keys) == (Theme.DARK, ReasoningVisibility.NEVER, False)
    assert '<html lang="en" data-theme="dark">' in client.get("/").content.decode()
    client.logout()
    assert "data-theme" not in client.get("/accounts/login/").content.decode()


def test_an_invalid_preference_is_rejected(client: Client):
    client.force_login(person())
    page = client.post("/preferences/", {"theme": "pink", "reasoning": ReasoningVisibility.ALWAYS}).content.decode()
    assert "pink is not one of the available choices" in page
    user = User.objects.get()
    assert (user.theme, user.reasoning, user.single_keys) == (Theme.SYSTEM, ReasoningVisibility.THINKING, True)


def test_preferences_need_a_sign_in(client: Client):
    assert client.get("/preferences/").headers["Location"].startswith("/accounts/login/")


def usage_of(page: str) -> dict[str, list[list[str]]]:
    """Return the cells of each row of the tables of usage."""
    tables = re.findall(r'<table class="figures" aria-labelledby="figure-usage-(\w+)">(.*?)</table>', page, re.S)
    rows = {name: re.findall("<tr>(.*?)</tr>", table.split("<tbody>")[1], re.S) for name, table in tables}
    return {
        name: [[re.sub("<[^>]+>", "", cell) for cell in re.findall("<t[hd].*?</t[hd]>", row, re.S)] for row in found]
        for name, found in rows.items()
    }


def test_people_see_their_own_tokens_by_model_and_by_day(client: Client, settings):
    settings.MODELS = registry(model(model_id="pro", label="The Pro"))
    owner, other, today = person("owner"), person("other"), site_day()
    for user, name, ago, tokens in (
        (owner, "pro", 0, (1000, 20, 3)),
        (owner, "gone", 0, (1, 2, 3)),
        (owner, "pro", 29, (10, 10, 10)),
        (owner, "pro", 30, (7777, 0, 0)),
        (other, "pro", 0, (8888, 0, 0)),
    ):
        fields = dict(zip(TOKENS, tokens, strict=True))
        DailyUsage.objects.create(user=user, model=name, day=today - timedelta(days=ago), **fields)
    client.force_login(owner)
    page = client.get("/preferences/").content.decode()
    usage = usage_of(page)
    assert usage["models"] == [["The Pro", "1,053", "1,010", "30", "13"], ["gone", "6", "1", "2", "3"]]
    assert len(usage["days"]) == 30
    assert [row[1:] for row in usage["days"]] == [
        ["1,029", "1,001", "22", "6"],
        *[["0", "0", "0", "0"]] * 28,
        ["30", "10", "10", "10"],
    ]
    assert "7,777" not in page
    assert "8,888" not in page
    assert 'svg width="70.0%"' in page
    assert "style=" not in page


def test_more_usage_needs_no_more_queries(client: Client):
    owner = person()
    client.force_login(owner)
    with CaptureQueriesContext(connection) as without:
        assert "You've used no tokens in the last 30 days." in client.get("/preferences/").text
    for name in ("one", "two"):
        for ago in range(9):
            DailyUsage.objects.create(user=owner, model=name, day=site_day() - timedelta(days=ago), input_tokens=1)
    with CaptureQueriesContext(connection) as with_usage:
        assert len(usage_of(client.get("/preferences/").text)["days"]) == 30
    assert len(with_usage) == len(without)
