"""Sessions: how long they last, which ones a person has, and how they end.

A session ends when it was not used for `SESSION_COOKIE_AGE`, and at the latest `SESSION_ABSOLUTE_AGE` after sign-in.
What its owner is shown about it is in it, under `ACTIVITY`; addresses are not stored. It is written at most once in
`REFRESH_SECONDS`, so most requests write nothing.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.account.signals import password_changed, password_reset, password_set
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.models import Session
from django.db import Error
from django.db.models import Exists, OuterRef
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from chatsite.outages import describe as describe_outage
from chatsite.outages import is_outage
from conversations.accounts import devices, throttle
from conversations.accounts.models import UserSession
from conversations.events import Topic, publish
from conversations.models import User

logger = logging.getLogger(__name__)

ACTIVITY = "activity"
REFRESH_SECONDS = 600
MAX_SESSIONS = 50  # for one person; a further sign-in ends the oldest


@dataclass(frozen=True)
class SignIn:
    """A session as the list shows it. The times are None if it has not been used since the site was updated."""

    pk: int
    device: str
    started_at: datetime | None
    used_at: datetime | None
    is_current: bool


@receiver(user_logged_in, dispatch_uid="sessions")
def start(request: HttpRequest, user: User, **_kwargs) -> None:
    now = int(time.time())
    _note(request, started=now, ends=now + settings.SESSION_ABSOLUTE_AGE)
    _record(user.pk, request.session[ACTIVITY]["key"])


def limit(session: SessionBase, duration: timedelta) -> None:
    """Let a session that has just started end after `duration`, or earlier if it is not used."""
    session[ACTIVITY] = session[ACTIVITY] | {"ends": int(time.time() + duration.total_seconds())}
    _set_expiry(session)


def refresh(request: HttpRequest) -> None:
    """Note that a signed-in session was used, if that is not known yet.

    Django saves the session after the response. It is also saved here, so that a page that could be read is shown
    although its session cannot be written now, or has just been ended elsewhere.
    """
    session = request.session
    activity = session.get(ACTIVITY, {})
    # The key changes with the password and after a change of SECRET_KEY.
    is_recorded = activity.get("key") == session.session_key
    if is_recorded and time.time() - activity["used"] < REFRESH_SECONDS:
        return
    was_modified = session.modified
    # A session from before the update ends when it would have ended without it.
    _note(request, **({"ends": int(session.get_expiry_date().timestamp())} | activity))
    try:
        session.save()
        if not is_recorded:
            _record(int(session[SESSION_KEY]), session[ACTIVITY]["key"])
    except (UpdateError, Error) as error:
        # Django raises UpdateError for a session that has been deleted, and for all errors of the database.
        if isinstance(error, Error) and not is_outage(error):
            raise
        logger.info("the use of a session was not noted: %s", describe_outage(error))
        session.modified = was_modified


def _note(request: HttpRequest, **known: Any) -> None:
    device = devices.describe(request.META.get("HTTP_USER_AGENT", ""))
    now = {"key": request.session.session_key, "device": device, "used": int(time.time())}
    request.session[ACTIVITY] = known | now
    _set_expiry(request.session)


def _set_expiry(session: SessionBase) -> None:
    activity = session[ACTIVITY]
    # As a time: a number of seconds would start again whenever the session changes.
    session.set_expiry(_time(min(activity["used"] + settings.SESSION_COOKIE_AGE, activity["ends"])))


def _record(user_id: int, key: str) -> None:
    """Record whose session this is, and end the oldest if there are too many."""
    UserSession.objects.bulk_create([UserSession(user_id=user_id, session_key=key)], ignore_conflicts=True)
    recorded = UserSession.objects.filter(user=user_id)
    alive = Session.objects.filter(pk=OuterRef("session_key"), expire_date__gt=timezone.now())
    recorded.filter(~Exists(alive)).delete()
    if surplus := list(recorded.order_by("-pk").values_list("session_key", flat=True)[MAX_SESSIONS:]):
        end(user_id, surplus)


def sign_ins(user: User, current_key: str | None = None) -> list[SignIn]:
    """Return the sessions in which a person is signed in: the current one, if given, then the last used first."""
    recorded = dict(UserSession.objects.filter(user=user).values_list("session_key", "pk"))
    passwords = {user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()}
    found = []
    for session in Session.objects.filter(session_key__in=recorded, expire_date__gt=timezone.now()):
        data = session.get_decoded()
        if data.get(HASH_SESSION_KEY) not in passwords:
            continue  # a new password has ended it
        activity = data.get(ACTIVITY, {})
        sign_in = SignIn(
            pk=recorded[session.session_key],
            device=activity.get("device", "Unknown device"),
            started_at=_time(activity.get("started")),
            used_at=_time(activity.get("used")),
            is_current=session.session_key == current_key,
        )
        found.append((not sign_in.is_current, -activity.get("used", 0), sign_in))
    return [sign_in for *_, sign_in in sorted(found, key=lambda item: item[:2])]


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def end(user_id: int, keys: Collection[str]) -> None:
    """End sessions of one user, and close their sockets."""
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(user=user_id, session_key__in=keys).delete()
    publish(Topic.ACCOUNT_CHANGED, user_id)


def end_all(user: User) -> None:
    end(user.pk, list(UserSession.objects.filter(user=user).values_list("session_key", flat=True)))


@receiver(user_logged_out, dispatch_uid="sockets")
def publish_sign_out(request: HttpRequest | None, user: User | None, **_kwargs) -> None:
    if request and user:
        request.session.flush()  # Django does it after this signal, and sockets would still find the session
        publish(Topic.ACCOUNT_CHANGED, user.pk)


@receiver((password_changed, password_reset, password_set), dispatch_uid="sockets")
def publish_new_password(user: User, **_kwargs) -> None:
    publish(Topic.ACCOUNT_CHANGED, user.pk)


@receiver(password_reset, dispatch_uid="throttle")
def remember_browser(request: HttpRequest, user: User, **_kwargs) -> None:
    throttle.remember_reset(request, user.username)
