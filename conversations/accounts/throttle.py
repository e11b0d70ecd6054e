"""Limits on guessing passwords, with device cookies so that a stranger's guesses do not lock out the owner.

Failed attempts count for an account from one address, for one address, and for an account from everywhere. In a browser
where someone has signed in to the account before, only attempts in that browser count: it has a signed cookie that says
so (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). Elsewhere, a link to reset the password opens the
account again.

These are rows, because a cache evicts when it is full. Each row costs a password hashing before there can be another,
and none is kept for longer than `ACCOUNT_PERIOD`, so the table stays small.
"""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import get_random_string, salted_hmac

from chatsite.client_address import network
from conversations.accounts.models import SignInAttempt

PERIOD = timedelta(minutes=15)
ATTEMPTS_AT_ADDRESS = 5  # at one account, from one address or in one known browser
ATTEMPTS_FROM_ADDRESS = 50  # at all accounts: many people can share an address
ACCOUNT_PERIOD = timedelta(hours=1)
ATTEMPTS_AT_ACCOUNT = 100  # from all addresses; as OWASP ASVS 4.0.3 has it, 2.2.1

COOKIE = "browser"
COOKIE_AGE = timedelta(days=365)


def begin(request: HttpRequest, username: str, address: str) -> SignInAttempt | None:
    """Record an attempt; None if there were too many. Whoever calls this deletes the attempt if it succeeds.

    It is recorded before the password is checked, so that guesses sent at once are counted too.
    """
    now = timezone.now()
    SignInAttempt.objects.filter(at__lt=now - ACCOUNT_PERIOD).delete()
    account = _hash("account", username.lower())
    browser = _known_browser(request, account)
    attempt = SignInAttempt.objects.create(
        at=now, account=account, address=_hash("address", network(address)), browser=browser
    )
    if any(rows.count() > limit for rows, limit in _limits(attempt)):
        attempt.delete()
        return None
    return attempt


def _limits(attempt: SignInAttempt) -> list[tuple[QuerySet[SignInAttempt], int]]:
    comparable = SignInAttempt.objects.filter(browser=attempt.browser)
    at_account, recent = comparable.filter(account=attempt.account), {"at__gt": attempt.at - PERIOD}
    if attempt.browser:
        return [(at_account.filter(**recent), ATTEMPTS_AT_ADDRESS)]
    return [
        (at_account.filter(address=attempt.address, **recent), ATTEMPTS_AT_ADDRESS),
        (comparable.filter(address=attempt.address, **recent), ATTEMPTS_FROM_ADDRESS),
        (at_account.filter(at__gt=attempt.at - ACCOUNT_PERIOD), ATTEMPTS_AT_ACCOUNT),
    ]


def remember_browser(response: HttpResponse, username: str) -> None:
    """Let this browser know that the account has signed in there."""
    response.set_cookie(
        _cookie_name(),
        _token(username),
        max_age=COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def remember_reset(request: HttpRequest, username: str) -> None:
    """Treat this session's browser as known: its user has just shown that they own the account's email address."""
    request.session[COOKIE] = _token(username)


def _known_browser(request: HttpRequest, account: str) -> str:
    """Return the hash of this browser's cookie if it is for the account, else ""."""
    for token in (request.session.get(COOKIE, ""), request.COOKIES.get(_cookie_name(), "")):
        try:
            known, _nonce = signing.loads(token, salt=COOKIE, max_age=COOKIE_AGE)
        except signing.BadSignature:
            continue
        if known == account:
            return _hash("browser", token)
    return ""


def _token(username: str) -> str:
    return signing.dumps([_hash("account", username.lower()), get_random_string(22)], salt=COOKIE)


def _cookie_name() -> str:
    return f"__Host-{COOKIE}" if settings.SESSION_COOKIE_SECURE else COOKIE


def _hash(kind: str, text: str) -> str:
    return salted_hmac(f"sign-in {kind}", text, algorithm="sha256").hexdigest()
