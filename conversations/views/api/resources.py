"""One address of the API: authentication, scopes, methods, and errors in one shape."""

import json
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from chatsite.logs import bind_log_context, pseudonym
from chatsite.problems import NOT_FOUND, problem
from chatsite.time_zones import note_time_zone, start_of_next_day
from conversations.accounts import api_tokens
from conversations.actions import DailyLimitReached, Held, QueueFull, Refused, Unavailable
from conversations.export import dump
from conversations.models import ApiToken, Conversation, Scope

REALM = 'Bearer realm="api"'
IN_ADDRESS = re.compile(rf"{api_tokens.PREFIX}[A-Za-z0-9]{{20,}}")
RETRY_SECONDS = 5


class ApiRequest(HttpRequest):
    """A request with a valid token. Nothing of the API uses `user`: there is no session, and roles do not count."""

    token: ApiToken


View = Callable[..., HttpResponseBase]
Operation = tuple[Scope | None, View]  # what a token needs for it; None: any token will do


class ApiError(Exception):
    """The request is refused, for a reason that its sender is told; `code` names it for programs."""

    def __init__(self, status: HTTPStatus, detail: str, code: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.response = problem(status, detail, code, headers)


def resource(**operations: Operation) -> View:
    """Return the view of an address with these operations, by method in lower case. HEAD is like GET."""
    methods = [method.upper() for method in operations] + (["HEAD"] if "get" in operations else [])

    @csrf_exempt  # there are no cookies that a page of another site could use
    def view(request: ApiRequest, **kwargs: Any) -> HttpResponseBase:
        try:
            _refuse_token_in_address(request)
            request.token = _authenticate(request)
            method = "get" if request.method == "HEAD" else (request.method or "").lower()
            if method not in operations:
                allow = {"Allow": ", ".join(methods)}
                raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {' or '.join(methods)} at this address.", "", allow)
            scope, operation = operations[method]
            if scope and not request.token.allows(scope):
                _refuse_scope(scope)
            api_tokens.note_use(request.token)
            response = operation(request, **kwargs)
        except ApiError as error:
            return error.response
        except Refused as refused:
            return _refusal(refused)
        except (Http404, Conversation.DoesNotExist):
            return problem(HTTPStatus.NOT_FOUND, NOT_FOUND)
        except RequestDataTooBig:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "This request is too large. Send a smaller one.")
        response.headers["Cache-Control"] = "no-store"
        return response

    return view


def json_response(data: dict[str, Any], status: int = HTTPStatus.OK, location: str = "") -> HttpResponse:
    headers = {"Location": location} if location else None
    return HttpResponse(dump(data), status=status, content_type="application/json", headers=headers)


def invalid(detail: str) -> NoReturn:
    raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "invalid")


def read_json(request: HttpRequest, *names: str) -> dict[str, Any]:
    """Return the JSON object of a request's body, which has no other fields than `names`. Raises `ApiError`."""
    if request.content_type != "application/json":
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json.")
    try:
        found = json.loads(request.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a number with thousands of digits, too deep
        raise ApiError(HTTPStatus.BAD_REQUEST, "The body is not JSON.", "not_json") from None
    if not isinstance(found, dict):
        invalid("The body must be a JSON object.")
    if unknown := found.keys() - set(names):
        invalid(f"Unknown field: {ascii(min(unknown))[:80]}. Known fields: {', '.join(names)}.")
    return found


def number(request: HttpRequest, name: str, *, default: int, most: int) -> int:
    """Return a parameter of the address that is a number from 1 to `most`. Raises `ApiError`."""
    text = request.GET.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) or not 1 <= int(text) <= most:
        invalid(f"{name} must be a number from 1 to {most}.")
    return int(text)


def flag(request: HttpRequest, name: str, *, default: bool = False) -> bool:
    """Return a parameter of the address that is "true" or "false". Raises `ApiError`."""
    text = request.GET.get(name)
    if text not in (None, "true", "false"):
        invalid(f"{name} must be true or false.")
    return default if text is None else text == "true"


@csrf_exempt
def not_found(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Respond to an address that the API does not have."""
    try:
        _refuse_token_in_address(request)
    except ApiError as error:
        return error.response
    return problem(HTTPStatus.NOT_FOUND, NOT_FOUND)


def _refuse_token_in_address(request: HttpRequest) -> None:
    texts = [request.path, *request.GET, *(value for values in request.GET.lists() for value in values[1])]
    if any(IN_ADDRESS.search(text) for text in texts):
        detail = (
            "Send the token in the Authorization header: proxies log addresses. Revoke this token on the page API"
            " tokens, and create another."
        )
        raise ApiError(HTTPStatus.BAD_REQUEST, detail, "token_in_address")


def _authenticate(request: HttpRequest) -> ApiToken:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        detail = "Send an API token: Authorization: Bearer <token>. You can create one on the page API tokens."
        raise ApiError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": REALM})
    if token := api_tokens.find(secret):
        bind_log_context(user=pseudonym(token.owner_id))
        note_time_zone(request, token.owner)
        return token
    headers = {"WWW-Authenticate": f'{REALM}, error="invalid_token"'}
    detail = (
        "This token does not work: it is wrong, expired or revoked, or you have to sign in to the site again first."
        " You can create another one on the page API tokens."
    )
    raise ApiError(HTTPStatus.UNAUTHORIZED, detail, "invalid_token", headers)


def _refuse_scope(scope: Scope) -> NoReturn:
    headers = {"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'}
    detail = f"This token does not allow this: it lacks “{scope.label}”. Create another one on the page API tokens."
    raise ApiError(HTTPStatus.FORBIDDEN, detail, "insufficient_scope", headers)


def _refusal(refused: Refused) -> HttpResponse:
    match refused:
        case DailyLimitReached():
            seconds = int(start_of_next_day().timestamp() - time.time()) + 1
            headers = {"Retry-After": str(seconds)}
            return problem(HTTPStatus.TOO_MANY_REQUESTS, str(refused), "daily_limit", headers)
        case QueueFull():
            return problem(HTTPStatus.TOO_MANY_REQUESTS, str(refused), "queue_full")
        case Unavailable():
            headers = {"Retry-After": str(RETRY_SECONDS)}
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(refused), "unavailable", headers)
        case Held():
            return problem(HTTPStatus.CONFLICT, str(refused), "held")
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(refused), "refused")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
