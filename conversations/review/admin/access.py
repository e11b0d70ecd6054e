"""Checks that every page of review makes: permission, and a case where content is shown."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from allauth.account.adapter import get_adapter
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from conversations.models import User
from conversations.models.permissions import READ, full
from conversations.request import SignedInRequest
from conversations.review import queue
from conversations.review.audit import Actor
from conversations.review.models import Case

View = Callable[..., HttpResponseBase]


class ReviewRequest(SignedInRequest):
    """A request that `require_permission` has let through; `case` is the reviewer's open case."""

    case: Case | None


class CaseRequest(ReviewRequest):
    """A request that `require_case` has let through."""

    case: Case


class AllowedLookupsAdmin(admin.ModelAdmin):
    """An admin whose rows can be filtered by query string through `allowed_lookups` only.

    Django would allow any column of the table (`?password__startswith=`), and the relations that a filter names.
    """

    allowed_lookups: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in self.allowed_lookups

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return to_field == self.opts.pk.name


class ReadOnlyAdmin(AllowedLookupsAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def require_permission(*codenames: str) -> Callable[[View], View]:
    """Respond 403 unless this person has all these permissions; set `request.case`."""
    permissions = [full(codename) for codename in codenames]

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: ReviewRequest, *args, **kwargs) -> HttpResponseBase:
            if not request.user.has_perms(permissions):
                raise PermissionDenied
            request.case = Case.objects.open_for(request.user).first()
            return view(request, *args, **kwargs)

        return wrapper

    return decorate


def require_case(view: View) -> View:
    """Ask for a reason before the view runs, unless this reviewer has a case open."""

    @wraps(view)
    def wrapper(request: ReviewRequest, *args, **kwargs) -> HttpResponseBase:
        return view(request, *args, **kwargs) if request.case else ask_for_reason(request.get_full_path())

    return wrapper


def ask_for_reason(next_url: str) -> HttpResponse:
    """Redirect to the form that opens a case, and from there to `next_url`."""
    return redirect(f"{reverse('admin:review_reason')}?{urlencode({'next': next_url})}")


def actor(request: HttpRequest) -> Actor:
    """Return who acts. The administration lets only signed-in people reach its views."""
    return Actor(cast(User, request.user), get_adapter(request).get_client_ip(request))


def context(request: ReviewRequest, title: str, **more: Any) -> dict[str, Any]:
    """Return the context of a page of review."""
    own = {"title": title, "case": request.case, "is_nav_sidebar_enabled": False}  # its links are those of review
    return {**admin.site.each_context(request), **own, **waiting(request), **more}


def waiting(request: ReviewRequest) -> dict[str, int]:
    """Return how many items of the queue wait for this reviewer, for the links on all pages of review."""
    if not request.user.has_perm(full(READ)):
        return {}
    return {"waiting": queue.waiting(request.user), "most": queue.MAX_COUNTED}
