"""Why a sign-in failed, and the page that says so.

SignInFailed
├── Declined        the person cancelled, or the provider refused
├── Stale           started too long ago or in another browser, or already completed
├── Unreachable     the provider, or the endpoint of the managed identity, does not respond
├── Misconfigured   the provider rejects this site's registration or its credential, or describes itself wrongly
└── Untrusted       the token is not from this provider, for this site and for this browser

Their arguments are logged: names and codes only, no text that a visitor can choose, no token, no secret.
"""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from allauth.account.adapter import get_adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import capfirst

if TYPE_CHECKING:
    from conversations.accounts.sso.provider import SingleSignOnProvider

logger = logging.getLogger(__name__)


class SignInFailed(OAuth2Error):
    """`message`, which may contain the provider's name, and `status` are for the page, `level` is for the log."""

    message = ""
    status = 403
    level = logging.WARNING


class Declined(SignInFailed):
    message = (
        "{provider} did not sign you in. Either you cancelled, or your organisation has not given you access to this "
        "site. To get access, ask your organisation's administrators."
    )
    level = logging.INFO


class Stale(SignInFailed):
    message = "This sign-in has expired, was started in another browser, or has already been completed."
    status = 400
    level = logging.INFO


class Unreachable(SignInFailed):
    message = "{provider} cannot be reached. Try again in a minute."
    status = 503


class Misconfigured(SignInFailed):
    message = "{provider} rejected this site's sign-in settings. Tell an administrator: the site's log has the reason."
    status = 503
    level = logging.ERROR


class Untrusted(SignInFailed):
    message = "Your account could not be verified. Sign in with an account from this site's organisation."


def from_oauth_error(answer: Mapping[str, object]) -> SignInFailed:
    """Return the failure for an error response of the OAuth 2.0 protocol."""
    error = str(answer.get("error", ""))
    name = re.match(r"[a-z_]{1,40}", error)
    number = re.match(r"AADSTS\d{1,12}", str(answer.get("error_description", "")))
    code = " ".join(found[0] for found in (name, number) if found) or "no error code"
    match error:
        case "access_denied":
            return Declined(code)
        case "invalid_grant":
            return Stale(code)
        case "server_error" | "temporarily_unavailable":
            return Unreachable(code)
    return Misconfigured(code)


def response(request: HttpRequest, provider: "SingleSignOnProvider", failure: SignInFailed) -> HttpResponse:
    """Return the page for a failure; redirect people who went back after they had signed in."""
    if isinstance(failure, Stale) and request.user.is_authenticated:
        return redirect("new")
    address, kind = get_adapter(request).get_client_ip(request), type(failure).__name__
    logger.log(failure.level, "sign-in with %s failed: %s (%s) from %s", provider.log_name, kind, failure, address)
    message = failure.message.format(provider=capfirst(provider.name))
    return render(request, "account/sso_failed.html", {"message": message}, status=failure.status)
