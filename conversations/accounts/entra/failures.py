"""Why a sign-in ends without anybody signed in, and the page that says so.

SignInFailed
├── Declined        the person, or the tenant, said no
├── Stale           begun too long ago, already used, or begun in another browser
├── Unreachable     Microsoft, or the identity that vouches for this site, does not answer
├── Misconfigured   Microsoft does not take this site for what it says it is
└── Untrusted       a token that is not one of this tenant for this site and this browser

What is raised with them goes to the log: names and codes, nothing that a stranger chose freely, no token, no secret.
"""

import logging
import re
from collections.abc import Mapping

from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

logger = logging.getLogger(__name__)


class SignInFailed(OAuth2Error):
    """`sentence` is for the person, `status` is the page's, `level` the log line's."""

    sentence = ""
    status = 403
    level = logging.WARNING


class Declined(SignInFailed):
    sentence = (
        "Microsoft did not sign you in. Either you cancelled, or your organisation has not given you access to this "
        "site. To get access, ask your organisation's administrators."
    )
    level = logging.INFO


class Stale(SignInFailed):
    sentence = "This sign-in has expired, was started in another browser, or has already been completed."
    status = 400
    level = logging.INFO


class Unreachable(SignInFailed):
    sentence = "Microsoft cannot be reached. Try again in a minute."
    status = 503


class Misconfigured(SignInFailed):
    sentence = "Microsoft rejected this site's sign-in settings. Tell an administrator: the site's log has the reason."
    status = 503
    level = logging.ERROR


class Untrusted(SignInFailed):
    sentence = "Your Microsoft account could not be verified. Sign in with an account from this site's organisation."


def code(answer: Mapping[str, object]) -> str:
    """Return the error's name and Entra's number for it (AADSTS7000222), and nothing else of what an answer says."""
    name = re.match(r"[a-z_]{0,40}", str(answer.get("error", "")))[0]
    number = re.match(r"AADSTS\d{1,12}", str(answer.get("error_description", "")))
    return f"{name or 'without a name'} {number[0] if number else ''}".strip()


def told_by(answer: Mapping[str, object]) -> SignInFailed:
    """Return what an error in the OAuth 2.0 protocol means for a person."""
    match answer.get("error"):
        case "access_denied":
            return Declined(code(answer))
        case "invalid_grant":
            return Stale(code(answer))
        case "server_error" | "temporarily_unavailable":
            return Unreachable(code(answer))
    return Misconfigured(code(answer))


def page(request: HttpRequest, failure: SignInFailed) -> HttpResponse:
    """Say why nobody was signed in; somebody who already is (they went back) is taken on instead."""
    if isinstance(failure, Stale) and request.user.is_authenticated:
        return redirect("new")
    logger.log(failure.level, "nobody was signed in with Entra ID: %s (%s)", type(failure).__name__, failure)
    return render(request, "account/entra_failed.html", {"sentence": failure.sentence}, status=failure.status)
