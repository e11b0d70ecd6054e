"""Why a sign-in failed, and the page that says so.

SignInFailed
├── Declined        the person cancelled, or the tenant refused
├── Stale           started too long ago or in another browser, or already completed
├── Unreachable     Microsoft, or the endpoint of the managed identity, does not respond
├── Misconfigured   Microsoft rejects this site's registration or its credential
└── Untrusted       the token is not from this tenant, for this site and for this browser

Their arguments are logged: names and codes only, no text that a visitor can choose, no token, no secret.
"""

import logging
import re
from collections.abc import Mapping

from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

logger = logging.getLogger(__name__)


class SignInFailed(OAuth2Error):
    """`message` and `status` are for the page, `level` is for the log."""

    message = ""
    status = 403
    level = logging.WARNING


class Declined(SignInFailed):
    message = (
        "Microsoft did not sign you in. Either you cancelled, or your organisation has not given you access to this "
        "site. To get access, ask your organisation's administrators."
    )
    level = logging.INFO


class Stale(SignInFailed):
    message = "This sign-in has expired, was started in another browser, or has already been completed."
    status = 400
    level = logging.INFO


class Unreachable(SignInFailed):
    message = "Microsoft cannot be reached. Try again in a minute."
    status = 503


class Misconfigured(SignInFailed):
    message = "Microsoft rejected this site's sign-in settings. Tell an administrator: the site's log has the reason."
    status = 503
    level = logging.ERROR


class Untrusted(SignInFailed):
    message = "Your Microsoft account could not be verified. Sign in with an account from this site's organisation."


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


def response(request: HttpRequest, failure: SignInFailed) -> HttpResponse:
    """Return the page for a failure; redirect people who went back after they had signed in."""
    if isinstance(failure, Stale) and request.user.is_authenticated:
        return redirect("new")
    logger.log(failure.level, "sign-in with Entra ID failed: %s (%s)", type(failure).__name__, failure)
    return render(request, "account/entra_failed.html", {"message": failure.message}, status=failure.status)
