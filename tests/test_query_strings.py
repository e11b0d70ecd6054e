"""No query string causes an error of the server: every URL, with hostile values for every parameter that it reads."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import HttpRequest, HttpResponse, QueryDict
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from conversations.models import User
from conversations.models.permissions import REVIEW
from tests.review.factories import make_conversation

pytestmark = pytest.mark.django_db
KEY = "7" * 8 + "-7777-4777-8777-" + "7" * 12
VALUES = [
    quote(value)
    for value in (
        "-1",
        "9" * 30,
        "9" * 5000,
        "\u0663",  # a digit of another script, which int() accepts
        "\u00b2",  # a digit that int() does not accept
        "\0",
        "x" * 5000,
        "'\"<;--%_[({\\",
        "0001-01-01",
        "9999-12-31",
        f"0001-01-01T00:00:00+14:00_{KEY}",
        f"9999-12-31T23:59:59-14:00_{KEY}",
        "0001-01-01 00:00:00+14:00",
    )
] + ["%ff%fe", "%ed%a0%80"]  # no UTF-8
# Lists of the administration filter by what is in the query string, without reading a name first.
LOOKUPS = {
    "/admin/conversations/conversation/": {"updated_at__gte", "updated_at__lt", "owner__username"},
    "/admin/conversations/auditentry/": {"act__exact"},
    "/admin/conversations/user/": {"is_staff__exact", "groups__id__exact"},
    "/admin/account/emailaddress/": {"verified__exact", "user__id__exact"},
}
# Parameters that the same code of a library reads for many URLs, and the one URL at which they are tried.
SHARED = {
    "next": "/accounts/login/",
    "p": "/admin/conversations/user/",
    "_to_field": "/admin/conversations/user/",
    "_changelist_filters": "/admin/conversations/user/add/",
}
SAME_VIEW = {"/admin/conversations/conversation/find/"}  # as the list of conversations
# Of these only the presence counts, or a form accepts them from a list only.
NOT_TRIED = {"_popup", "_facets", "all", "csrfmiddlewaretoken", "other", "feedback", "group", "outcome", "verdict"}

read: set[str] = set()  # the parameters that the last request read


class Parameters(QueryDict):
    """A query string that notes which of its parameters are read."""

    def __getitem__(self, key: str) -> Any:
        read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        read.add(str(key))
        return super().__contains__(key)

    def getlist(self, key: str, default: Any = None) -> Any:
        read.add(key)
        return super().getlist(key, default)


def note_parameters(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        read.clear()
        request.GET = Parameters(request.META["QUERY_STRING"])
        return get_response(request)

    return middleware


@contextmanager
def as_on_postgresql() -> Iterator[None]:
    """Refuse NUL characters in parameters of statements, which SQLite stores."""

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if any(isinstance(value, str) and "\0" in value for value in params or ()):
            raise ValueError("A string literal cannot contain NUL (0x00) characters.")
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


def paths(patterns: list[URLPattern | URLResolver], ids: dict[str, str], prefix: str = "/") -> Iterator[str]:
    """Yield the path of every URL, with these ids; of those of all tables, of the rows with the id 1."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            yield from paths(pattern.url_patterns, ids, route)
            continue
        kind = "uuid:pk" if "<uuid:pk>" in route else route.split("/")[1]
        path = re.sub(r"<(?:int|uuid):pk>", ids.get(kind, "1"), route.rstrip("$"))
        path = path.replace("<slug:name>", "days").replace("(?P<app_label>auth|conversations|account)", "auth")
        yield re.sub(r"<[^>]+>|\(\?P<.*?\)", "1", path)


@pytest.fixture
def everything(settings) -> Client:
    """Somebody who can see all pages, with a case open and a conversation of their own."""
    settings.SIGNUP, settings.ENTRA_TENANT_ID, settings.ENTRA_CLIENT_ID = "invite", KEY, KEY
    settings.MIDDLEWARE = ["tests.test_query_strings.note_parameters", *settings.MIDDLEWARE]
    user = User.objects.create_superuser("root", "root@example.org", "pw")
    user.user_permissions.set(Permission.objects.filter(codename__in=REVIEW))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    client.post("/admin/conversations/conversation/reason/", {"reason": "Safety"})
    return client


def faults(client: Client, path: str, names: set[str]) -> Iterator[str]:
    """Yield the queries with these parameters, alone and together, that cause an error."""
    for value in VALUES:
        alone = [f"{name}={value}" for name in sorted(names)]
        for query in {*alone, "&".join(alone)}:
            if client.get(f"{path}?{query}").status_code == 500:
                yield f"{path}?{query[:80]}"


def test_no_query_string_causes_an_error(everything: Client, caplog: pytest.LogCaptureFixture):
    conversation = make_conversation(User.objects.get(username="root"))
    ids = {"uuid:pk": str(conversation.pk), "messages": str(conversation.leaf_id)}
    visitor = Client(raise_request_exception=False)
    found, requested = [], set()
    caplog.set_level(logging.CRITICAL + 1)  # the tracebacks of refusals cost as much as the requests
    with as_on_postgresql():
        for path in set(paths(get_resolver().url_patterns, ids)) - SAME_VIEW:
            for client in (everything, visitor):
                client.get(f"{path}?other=1")  # without any, forms are not filled in
                names = {name for name in read if SHARED.get(name, path) == path} - NOT_TRIED
                names |= LOOKUPS.get(path, set()) if client is everything else set()
                found += faults(client, path, names) if names else ()
                requested |= {(path.replace(str(conversation.pk), "…"), name) for name in names}
    # That it tries what it should: a parameter of a form, one that a view reads, and one for which it has to be asked.
    assert requested >= {
        ("/search/", "q"),
        ("/conversations/…/", "message"),
        ("/admin/conversations/conversation/…/transcript/", "reasoning"),
        ("/accounts/signup/", "invitation"),
        ("/accounts/entra/login/callback/", "state"),
        ("/admin/conversations/user/", "_to_field"),
    }
    assert found == []
