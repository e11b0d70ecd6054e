"""Redirect to a provider, and the callback from there."""

from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from conversations.accounts.sso import failures
from conversations.accounts.sso.failures import SignInFailed
from conversations.accounts.sso.provider import SingleSignOnProvider


def _provider(request: HttpRequest, provider_id: str) -> SingleSignOnProvider:
    try:
        return get_adapter(request).get_provider(request, provider_id)
    except SocialApp.DoesNotExist:
        raise Http404 from None


@never_cache
@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """Show the buttons, in place of allauth's page for usernames and passwords."""
    if request.user.is_authenticated:
        return redirect("new")
    next_url = get_next_redirect_url(request)
    field = format_html('<input type="hidden" name="next" value="{}">', next_url) if next_url else ""
    return render(request, "account/login.html", {"redirect_field": field})


@never_cache
def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Start a sign-in, by POST only, so that a link on another site cannot.

    The response is a page that redirects by itself. Chromium applies the policy's `form-action` to every redirect after
    a form, and which servers a provider's sign-in redirects to (a federation server, for example) is not known.
    """
    provider = _provider(request, provider_id)
    if request.method != "POST":
        return redirect("account_login")
    try:
        response = provider.redirect_from_request(request)
    except SignInFailed as failure:
        return failures.response(request, provider, failure)
    return render(request, "account/sso_redirect.html", {"url": response["Location"], "provider": provider.name})


@never_cache
@require_GET
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Complete a sign-in, or show why it failed."""
    provider = _provider(request, provider_id)
    try:
        return OAuth2CallbackView.adapter_view(provider.get_oauth2_adapter(request))(request)
    except SignInFailed as failure:  # of the discovery document
        return failures.response(request, provider, failure)
