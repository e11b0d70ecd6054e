"""Errors of the API, as "Problem Details for HTTP APIs" (RFC 9457): one shape, whatever part of the site responds."""

import json
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views import defaults

API_PATH = "/api/"
CONTENT_TYPE = "application/problem+json"
# In sentences: what happened, then what to do.
BAD_REQUEST = "The request is not valid. Compare it with /api/v1/openapi.json."
NOT_FOUND = "There is nothing at this address. Check it, and the ids in it."
SERVER_ERROR = "The site has a problem. Try again later."
UNAVAILABLE = "The database cannot be reached. Try again in a few seconds."


def is_for_api(path: str) -> bool:
    return path.startswith(API_PATH)


def problem_body(status: int, detail: str, code: str = "", **more: Any) -> bytes:
    """Return the JSON of an error. `code` names it for programs; by default it is that of the status."""
    name = HTTPStatus(status)
    body = {"status": status, "title": name.phrase, "code": code or name.name.lower(), "detail": detail, **more}
    return json.dumps(body, ensure_ascii=False).encode()


def problem(status: int, detail: str, code: str = "", headers: dict[str, str] | None = None) -> HttpResponse:
    fixed = {"Cache-Control": "no-store"}
    body = problem_body(status, detail, code)
    return HttpResponse(body, status=status, content_type=CONTENT_TYPE, headers=fixed | (headers or {}))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Respond in place of Django's view for status 400."""
    if is_for_api(request.path):
        return problem(HTTPStatus.BAD_REQUEST, BAD_REQUEST)
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Respond in place of Django's view for status 404."""
    if is_for_api(request.path):
        return problem(HTTPStatus.NOT_FOUND, NOT_FOUND)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Respond in place of Django's view for status 500."""
    if is_for_api(request.path):
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, SERVER_ERROR)
    return defaults.server_error(request)
