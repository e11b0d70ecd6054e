"""What every page of review asks first: may they, for which case, and from where."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.adapter import get_adapter
from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from conversations.models.permissions import full
from conversations.review.audit import Actor
from conversations.review.models import Case


class AllowListed:
    """An admin whose rows are found by query string through `allowed_lookups` alone.

    Django lets any column of the table be probed (`?password__startswith=`), and relations that a filter names.
    """

    allowed_lookups: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in self.allowed_lookups

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return to_field == self.opts.pk.name


def may(codename: str) -> Callable[..., Any]:
    """Answer 403 to whoever was not granted this permission."""
    return permission_required(full(codename), raise_exception=True)


def with_case(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Ask for a reason before the view runs, unless this reviewer has stated one; it stands in `request.case`."""

    @wraps(view)
    def asked(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        request.case = Case.objects.open_of(request.user).first()
        if request.case is None:
            return redirect(f"{reverse('admin:review_reason')}?{urlencode({'next': request.get_full_path()})}")
        return view(request, *args, **kwargs)

    return asked


def actor(request: HttpRequest) -> Actor:
    return Actor(request.user, get_adapter(request).get_client_ip(request))


def context(request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
    """Return the context of a page of review; `case` is what the reviewer works on."""
    return {**admin.site.each_context(request), "title": title, "case": getattr(request, "case", None), **more}
