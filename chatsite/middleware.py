"""Middleware that applies to every view."""

import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.auth import middleware as django_middleware
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import BadRequest, DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase
from django.middleware import common
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control
from django.utils.functional import SimpleLazyObject

from chatsite.logs import bind_log_context, pseudonym
from chatsite.outages import describe, is_outage
from chatsite.problems import UNAVAILABLE, is_for_api, problem
from chatsite.time_zones import note_time_zone

logger = logging.getLogger(__name__)


# Who requests these knows a replica by its address, or a name that the container's network gave it.
ANY_HOST = frozenset({"/healthz", "/readyz", "/metrics"})


class CommonMiddleware(common.CommonMiddleware):
    """Django's, with one log line for a request to a host that is not the site's, and probes under any host."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:  # type: ignore[override]  # not only redirects
        if request.path_info in ANY_HOST:
            return None
        try:
            return super().process_request(request)
        except DisallowedHost:
            # Django's own line would be an error with a traceback, but scanners send such requests all day.
            logger.warning("a request for another host was refused: %r", request.META.get("HTTP_HOST", "")[:100])
            return HttpResponseBadRequest(render_to_string("400.html"))


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Respond with 400 to an address that contains a NUL, and ignore cookies that do.

    No link and no cookie of the site does, and PostgreSQL accepts none in a parameter.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("NUL in the address")
        request.COOKIES = {name: value for name, value in request.COOKIES.items() if "\0" not in value}
        return get_response(request)

    return middleware


def ignore_cookies(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Serve the API without cookies: there is no session then, so pages of other sites can do nothing in its name."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if is_for_api(request.path_info):
            request.META.pop("HTTP_COOKIE", None)
            request.COOKIES = {}
        return get_response(request)

    return middleware


class AuthenticationMiddleware(django_middleware.AuthenticationMiddleware):
    """Django's, with two additions.

    When a view loads the user, they are added to the log context, as logging itself must not query, and their time zone
    is noted. What a view responds to a signed-in person is not stored by browsers, where the next person could go back
    to it after signing out.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(partial(_load_user, request))  # type: ignore[assignment]

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        # A response for which nothing has read the session is the same for everyone. So is an error of the server, for
        # which the session may not have been readable.
        if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR and _is_signed_in(request):
            patch_cache_control(response, no_store=True)
        return response


def _is_signed_in(request: HttpRequest) -> bool:
    return request.session.accessed and SESSION_KEY in request.session


def _load_user(request: HttpRequest) -> AbstractBaseUser | AnonymousUser:
    user = get_user(request)
    if user.is_authenticated:
        bind_log_context(user=pseudonym(user.pk))
        note_time_zone(request, user)
    return user


class DatabaseOutageMiddleware:
    """Respond with 503 and a page that says so while the database is unavailable."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return unavailable(request, exception) if is_outage(exception) else None


def unavailable(request: HttpRequest, outage: Exception) -> HttpResponse:
    """Return the response while the database is unavailable."""
    logger.warning("no database for a request: %s", describe(outage))
    if is_for_api(request.path_info):
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE, headers={"Retry-After": "5"})
    return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
