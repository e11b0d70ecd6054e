"""What readers see of a share. Nothing here says why a link does not work: all that do not are the same page."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from conversations import actions, file_responses
from conversations.actions import Refused
from conversations.forms import PageForm
from conversations.models import Attachment, Share
from conversations.models.conversation import title_from
from conversations.rendering import shared
from conversations.rendering.fragments import PAGE

HEADERS = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",  # the address contains the token
    "X-Robots-Tag": "noindex",
}


class Gone(Exception):
    """There is nothing to show at this address."""


P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Share, str, P], HttpResponseBase]


def shared_page(view: View[P]) -> Callable[Concatenate[HttpRequest, str, P], HttpResponseBase]:
    """Give a view the share with the token of its address, and that address; only if this person may read it now."""

    @wraps(view)
    def wrapper(request: HttpRequest, token: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        response = _respond(request, token, *args, **kwargs)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _respond(request: HttpRequest, token: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        share = Share.objects.readable().with_token(token).select_related("conversation").first()
        if share and share.needs_sign_in and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        try:
            if share:
                return view(request, share, reverse("shared", args=[token]), *args, **kwargs)
        except Gone:
            pass
        return render(request, "conversations/shared_gone.html", status=404)

    return wrapper


@shared_page
@require_safe
def show(request: HttpRequest, share: Share, url: str) -> HttpResponse:
    """Show a page of the shared messages; `?page=` is its number. The first one counts as a visit of others."""
    form = PageForm(request.GET)
    number = (form.cleaned_data["page"] if form.is_valid() else None) or 1
    pins = share.pinned[(number - 1) * PAGE : number * PAGE]
    shown = share.read(pins)
    if not shown:
        raise Gone
    is_owner = request.user.pk == share.owner_id
    if number == 1 and request.method == "GET" and not is_owner and not share.count_visit():
        raise Gone
    context = {
        "share": share,
        "is_owner": is_owner,
        "title": title_from(shown[0].content) if number == 1 else "",
        "entries": shared.entries(shown, url),
        "url": url,
        "earlier": number - 1,
        "later": number + 1 if len(share.pins) > number * PAGE else None,
    }
    return render(request, "conversations/shared.html", context)


@shared_page
@require_safe
def message(request: HttpRequest, share: Share, url: str, pk: int) -> HttpResponse:
    """Show all of one message, of which a page shows only the beginning."""
    shown = share.read([pin for pin in share.pinned if pin.message == pk])
    if not shown:
        raise Gone
    context = {"share": share, "entries": shared.entries(shown, url, whole=True), "url": url, "is_one": True}
    return render(request, "conversations/shared.html", context)


@shared_page
@require_safe
def download(request: HttpRequest, share: Share, url: str, pk: uuid.UUID) -> HttpResponseBase:
    return file_responses.download(_attachment(share, pk))


@shared_page
@require_safe
def picture(request: HttpRequest, share: Share, url: str, pk: uuid.UUID) -> HttpResponse:
    attachment = _attachment(share, pk)
    if not attachment.is_image:
        raise Gone
    return file_responses.picture(attachment)


@shared_page
@require_http_methods(["GET", "HEAD", "POST"])
def copy(request: HttpRequest, share: Share, url: str) -> HttpResponse:
    """Ask whether to copy what a share shows; by POST, do so and open the copy.

    A page of its own: browsers send forms of pages with the policy `no-referrer` without their origin, which the
    protection against forged requests needs. `strict-origin` sends the origin, and the address to nobody either.
    """
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    error = ""
    if request.method == "POST":
        try:
            conversation = actions.copy_share(user=request.user, share=share)
        except Share.DoesNotExist:
            raise Gone from None
        except Refused as refused:
            error = str(refused)
        else:
            messages.success(request, "This is your own copy. Your questions and the answers to them are only here.")
            return redirect(conversation)
    context = {"share": share, "url": url, "error": error}
    response = render(request, "conversations/shared_copy.html", context, status=422 if error else 200)
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


def _attachment(share: Share, pk: uuid.UUID) -> Attachment:
    """Return a file of a shared message. Raises `Gone`."""
    if not share.with_files:
        raise Gone
    found = Attachment.objects.filter(message__in=[pin.message for pin in share.pinned]).with_files()
    attachment = found.filter(pk=pk).first()
    if attachment is None:
        raise Gone
    return attachment
