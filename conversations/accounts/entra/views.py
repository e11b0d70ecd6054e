"""Redirect to Microsoft, and the callback from there."""

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from conversations.accounts.entra.provider import ID, EntraOAuth2Adapter, EntraProvider


def _provider(request: HttpRequest) -> EntraProvider:
    try:
        return get_adapter(request).get_provider(request, ID)
    except SocialApp.DoesNotExist:
        raise Http404 from None


@never_cache
def login(request: HttpRequest) -> HttpResponse:
    """Start a sign-in, by POST only, so that a link on another site cannot.

    The response is a page that redirects by itself. Chromium applies the policy's `form-action` to every redirect after
    a form, and which servers a tenant's sign-in redirects to (its own federation server, for example) is not known.
    """
    provider = _provider(request)
    if request.method != "POST":
        return redirect("account_login")
    response = provider.redirect_from_request(request)
    return render(request, "account/entra_redirect.html", {"url": response["Location"]})


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Complete a sign-in, or show why it failed."""
    _provider(request)
    return OAuth2CallbackView.adapter_view(EntraOAuth2Adapter(request, ID))(request)
