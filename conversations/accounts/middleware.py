"""Middleware for sessions: their limits, and those that may only set up a second factor."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from chatsite.middleware import unavailable
from chatsite.outages import is_outage
from conversations.accounts import factors, sessions
from conversations.session_monitor import FACTOR_REQUIRED

# Open to a session that must first set up a second factor, besides all pages to do so.
OPEN_VIEWS = {"account_reauthenticate", "account_logout"}
# Besides the administration, for people who need a second factor on a public site.
STAFF_VIEWS = {"models"}
# The same for everyone: these read no session.
PUBLIC_VIEWS = {"healthz", "readyz", "metrics", "security_txt"}


class SessionsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        session = request.session
        # A server error may come from a session that could not be read.
        can_read = response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
        if can_read and session.accessed and SESSION_KEY in session and request.user.is_authenticated:
            sessions.refresh(request)
        return response

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        """Redirect a session that must first set up a second factor to the page where that is done.

        The API has no sessions, and gives nobody the rights for which a second factor is needed.
        """
        name = request.resolver_match.view_name  # type: ignore[union-attr]  # set before this is called
        if name in PUBLIC_VIEWS or name in OPEN_VIEWS or name.startswith(("mfa_", "api:")):
            return None
        try:
            if name.startswith("admin:") or name in STAFF_VIEWS:  # the right may be newer than the session
                factors.require(request, request.user)
            if not request.session.get(FACTOR_REQUIRED):
                return None
            if factors.has_second_factor(request.user):  # type: ignore[arg-type]  # only signed-in people have the mark
                del request.session[FACTOR_REQUIRED]
                return None
        except Error as error:  # Django would not pass it to `process_exception`
            if not is_outage(error):
                raise
            return unavailable(request, error)
        return redirect("mfa_index")
