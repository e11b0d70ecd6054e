"""Off to Microsoft, and back."""

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
    """Begin a sign-in, by POST alone: a link from elsewhere cannot.

    The answer is a page that goes on by itself. Chromium holds every redirect after a form against the policy's
    `form-action`, and where a tenant's sign-in leads (its own federation server, say) nobody here knows beforehand.
    """
    provider = _provider(request)
    if request.method != "POST":
        return redirect("account_login")
    away = provider.redirect_from_request(request)
    return render(request, "account/entra_leaving.html", {"address": away["Location"]})


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """End a sign-in: somebody is signed in, or a page says why not."""
    _provider(request)
    return OAuth2CallbackView.adapter_view(EntraOAuth2Adapter(request, ID))(request)
