"""Middleware that applies to every view."""

import logging
from collections.abc import Callable
from functools import partial

from django.contrib.auth import get_user
from django.contrib.auth import middleware as django_middleware
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.functional import SimpleLazyObject

from chatsite.logs import bind_log_context, pseudonym

logger = logging.getLogger(__name__)


class AuthenticationMiddleware(django_middleware.AuthenticationMiddleware):
    """Django's, and adds the user to the log context when a view loads them: logging itself must not query."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(partial(_load_user, request))  # type: ignore[assignment]


def _load_user(request: HttpRequest) -> AbstractBaseUser | AnonymousUser:
    user = get_user(request)
    if user.is_authenticated:
        bind_log_context(user=pseudonym(user.pk))
    return user


class DatabaseOutageMiddleware:
    """Respond with 503 and a page that says so while the database is unavailable."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        logger.warning("no database for a request: %s", type(exception).__name__)
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
