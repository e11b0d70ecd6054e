"""What stands around every view."""

import logging
from collections.abc import Callable

from django.contrib.auth import SESSION_KEY
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from chatsite.logs import about, pseudonym

logger = logging.getLogger(__name__)


class LogMiddleware:
    """Have log lines say whose request they are about, once the view itself has asked who that is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        about(user=lambda: pseudonym(request.session[SESSION_KEY]) if _is_known(request) else "")
        return self.get_response(request)


def _is_known(request: HttpRequest) -> bool:
    # `_session` would read the database, which may be what the line is about.
    return SESSION_KEY in getattr(request.session, "_session_cache", {})


class DatabaseOutageMiddleware:
    """Answer 503 with a page that says so while the database is away: an outage is no mistake of the site."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        logger.warning("a request found no database: %s", type(exception).__name__)
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
