"""Time zones: of the site, which days of use are counted in, and of the person who looks at a page.

A script on every page stores the browser's zone in a cookie. Pages are rendered in that zone; without the script, in
the zone that the account was last used in, or else in the site's.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "time_zone"
# No file names outside of the tz database, and none of its variants such as posix/UTC.
NAME = re.compile(r"UTC|(?:[A-Z][\w+-]*/){1,2}[A-Z][\w+-]*", re.ASCII)
MAX_NAME = 64  # characters
FIRST_DAY, LAST_DAY = date(1, 1, 3), date(9999, 12, 29)


@lru_cache(maxsize=1_000)
def zone(name: str) -> ZoneInfo | None:
    """Return the time zone of this name in the tz database; None if there is none."""
    if len(name) > MAX_NAME or not NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; not a time zone; a directory
        return None


def zone_of(cookies: Mapping[str, str]) -> ZoneInfo | None:
    """Return the time zone of a browser that sent these cookies; None if it is not known."""
    return zone(cookies.get(COOKIE, ""))


def use_time_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Render pages in the browser's time zone."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_of(request.COOKIES)):
            return get_response(request)

    return middleware


def note_time_zone(request: HttpRequest, user: Any) -> None:
    """Store the browser's time zone with the account; if the browser names none, use the one that is stored."""
    found = zone_of(request.COOKIES)
    if found is None:
        timezone.activate(zone(user.time_zone or "") or timezone.get_default_timezone())
    elif found.key != user.time_zone:
        user.time_zone = found.key
        type(user).objects.filter(pk=user.pk).update(time_zone=found.key)


def site_day(moment: datetime | None = None) -> date:
    """Return the day of a moment, or today, in the site's time zone."""
    return timezone.localdate(moment, timezone.get_default_timezone())


def start_of_next_day() -> datetime:
    """Return when today ends in the site's time zone."""
    with timezone.override(None):
        return start_of_day(site_day() + timedelta(days=1))


def start_of_day(day: date) -> datetime:
    """Return the first moment of a day in the current time zone; clamped to what databases store in any zone."""
    return timezone.make_aware(datetime.combine(min(max(day, FIRST_DAY), LAST_DAY), time.min))


def describe_moment(moment: datetime, name: str = "") -> str:
    """Return a moment for a sentence, such as "02:00 on 30 November (Europe/Berlin)".

    It is in the time zone `name` if there is one of this name, otherwise in the zone that pages are rendered in.
    """
    local = timezone.localtime(moment, zone(name))
    return f"{local:%H:%M} on {local.day} {local:%B} ({local.tzinfo})"
