"""Times are shown in the time zone of whoever looks at a page; days of use are the site's."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatsite.time_zones import describe_moment, site_day, start_of_day, start_of_next_day, zone
from conversations.models import Generation, Message, User
from conversations.page_state import PageState
from conversations.review.filters import filter_conversations
from tests.factories import person, queued
from tests.review.factories import make_user

MOMENT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
IN_TOKYO, IN_UTC = "2 March 2026, 08:30:00", "1 March 2026, 23:30:00"


@pytest.fixture
def asked(db) -> Generation:
    generation = queued(person())
    Generation.objects.update(created_at=MOMENT)
    Message.objects.update(created_at=MOMENT)
    return generation


def details(client: Client, generation: Generation) -> str:
    return client.get(f"/messages/{generation.message_id}/details/").content.decode()


def test_pages_follow_the_browsers_zone_and_then_that_of_the_last_visit(client: Client, asked: Generation):
    client.force_login(asked.owner)
    assert IN_UTC in details(client, asked)
    client.cookies["time_zone"] = "Asia/Tokyo"
    assert IN_TOKYO in details(client, asked)
    del client.cookies["time_zone"]  # as without the script
    assert IN_TOKYO in details(client, asked)
    client.cookies["time_zone"] = "Europe/Nowhere"
    assert IN_TOKYO in details(client, asked)
    assert timezone.get_current_timezone_name() == "UTC"  # not left behind in this thread
    assert User.objects.get().time_zone == "Asia/Tokyo"


def test_a_zone_is_stored_when_it_changes_only(client: Client, asked: Generation):
    def statements() -> int:
        with CaptureQueriesContext(connection) as executed:
            details(client, asked)
        return len(executed)

    client.force_login(asked.owner)
    without = statements()
    client.cookies["time_zone"] = "Asia/Tokyo"
    assert statements() == without + 1
    assert statements() == without


def test_what_a_socket_sends_has_the_times_of_the_page(asked: Generation):
    page = PageState(asked.conversation_id, {}, ZoneInfo("Asia/Tokyo"))
    assert IN_TOKYO in page.read(asked.owner_id).articles
    assert IN_UTC in PageState(asked.conversation_id, {}).read(asked.owner_id).articles


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Europe",
        "Europe/",
        "Mars/Phobos",
        "posix/Asia/Tokyo",
        "../../etc/localtime",
        "/etc/localtime",
        "localtime",
        "Asia/Tokyo\0",
        "Asia/" + "A" * 5000,
        "Ａsia/Tokyo",
    ],
)
def test_what_is_no_time_zone_is_ignored(name: str):
    assert zone(name) is None


@pytest.mark.parametrize("name", ["UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"])
def test_the_names_of_browsers_are_known(name: str):
    assert zone(name).key == name


def test_days_of_use_are_the_sites(settings):
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        assert site_day(MOMENT) == date(2026, 3, 1)
        assert start_of_next_day().astimezone(UTC).hour == 0
        assert describe_moment(MOMENT) == "08:30 on 2 March (Asia/Tokyo)"
        assert describe_moment(MOMENT, "Europe/Berlin") == "00:30 on 2 March (Europe/Berlin)"
        assert describe_moment(MOMENT, "nonsense") == "08:30 on 2 March (Asia/Tokyo)"


@pytest.mark.parametrize("day", [date.min, date.max])
@pytest.mark.parametrize("name", ["Etc/GMT-14", "Etc/GMT+12"])
def test_the_first_and_last_days_begin_within_what_databases_store(day: date, name: str):
    with timezone.override(ZoneInfo(name)):
        start_of_day(day).astimezone(UTC)


def test_reviewers_find_by_days_of_their_own_zone(asked: Generation):
    reviewer = make_user("list-only")
    found = filter_conversations(reviewer, {"since": date(2026, 3, 2), "until": date(2026, 3, 2)})
    asked.conversation.updated_at = MOMENT
    asked.conversation.save()
    assert not found.exists()
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        found = filter_conversations(reviewer, {"since": date(2026, 3, 2), "until": date(2026, 3, 2)})
        assert found.exists()
        assert filter_conversations(reviewer, {"since": date.min, "until": date.max}).exists()
