"""The notice near the composer when little is left of the day's tokens, on loaded and on open pages."""

import re
from dataclasses import replace
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chatsite.time_zones import site_day
from conversations.models import Conversation, DailyUsage, User
from conversations.page_state import PageState
from tests.factories import person, queued
from tests.models import model, registry

pytestmark = pytest.mark.django_db
NOTICE = re.compile(r'<(p|div)[^>]* id="tokens-left"[^>]*>([^<]*)</\1>')


@pytest.fixture(autouse=True)
def _limits(settings) -> None:
    pro = replace(model(model_id="pro", label="Pro"), daily_tokens=2_000, daily_tokens_of_groups={"Research": 90_000})
    settings.USER_DAILY_TOKENS, settings.MODELS = 100_000, registry(model(model_id="flash"), pro)


@pytest.fixture
def user() -> User:
    return person()


@pytest.fixture
def reader(client: Client, user: User) -> Client:
    client.force_login(user)
    client.cookies["time_zone"] = "Asia/Tokyo"
    return client


def use(user: User, model_id: str, tokens: int) -> None:
    usage, _ = DailyUsage.objects.get_or_create(user=user, day=site_day(), model=model_id)
    DailyUsage.objects.filter(pk=usage.pk).update(output_tokens=tokens)


def notices(html: str) -> list[str]:
    return [unescape(notice) for _, notice in NOTICE.findall(html)]


def loaded(reader: Client, conversation: Conversation | None = None) -> str:
    [notice] = notices(reader.get(conversation.get_absolute_url() if conversation else "/").text)
    return notice


def sent(state: PageState, user: User) -> list[str]:
    """Return the notices that an open page is sent."""
    return [notice for frame in state.apply(state.read(user.pk)) for notice in notices(frame)]


def test_the_notice_says_what_is_left_of_each_limit_and_when_it_resets(reader: Client, user: User):
    assert loaded(reader) == ""
    use(user, "flash", 90_000)
    assert loaded(reader) == ""  # a tenth is left
    use(user, "flash", 90_001)
    notice = loaded(reader)
    assert notice.startswith("You have 9,999 of today's 100,000 tokens left. The count resets at 09:00 on ")
    assert notice.endswith(" (Asia/Tokyo).")
    use(user, "pro", 1_900)
    both = "You have 8,099 of today's 100,000 tokens left. You have 100 of today's 2,000 tokens left for Pro. The"
    assert loaded(reader).startswith(both)
    use(user, "pro", 2_100)
    use(user, "flash", 5)
    assert loaded(reader).startswith("You've used today's 2,000 tokens for Pro. The count resets at ")
    preferences = reader.get("/preferences/").text
    assert "You've used 2,105 of today's 100,000 tokens.</p>" in preferences
    assert "You've used 2,100 of today's 2,000 tokens for Pro. The counts reset at 09:00 on " in preferences
    user.groups.add(Group.objects.create(name="Research"))
    assert loaded(reader) == ""


def test_an_open_page_shows_the_notice_of_a_fresh_load(reader: Client, user: User):
    conversation = queued(user).conversation
    state = PageState(conversation.pk, {}, ZoneInfo("Asia/Tokyo"))
    assert sent(state, user) == [""]
    use(user, "flash", 99_000)
    assert sent(state, user) == [loaded(reader, conversation)]
    assert loaded(reader, conversation)
    assert sent(state, user) == []
    DailyUsage.objects.all().delete()
    assert sent(state, user) == [""]


def test_somebody_without_limits_gets_no_notice_and_no_queries(reader: Client, user: User, settings):
    def count() -> int:
        state = PageState(conversation.pk, {})
        with CaptureQueriesContext(connection) as queries:
            found.append(sent(state, user))
        return len(queries)

    found: list[list[str]] = []
    conversation = queued(user).conversation
    limited = count()
    settings.USER_DAILY_TOKENS, settings.MODELS = 0, registry(model(model_id="flash"))
    assert limited - count() == 2  # what was used, and the groups
    assert found == [[""], []]
