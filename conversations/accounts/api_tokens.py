"""API tokens: create, find by what a client sends, revoke. Only their SHA-256 is stored; nothing logs them.

Every new password revokes them, however it is set; so do the deactivation of an account, `manage.py reset_factors` and
"Sign out everywhere else".
"""

import hashlib
import logging
from datetime import timedelta

from allauth.account.adapter import get_adapter
from django.db import Error, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import get_random_string

from chatsite.logs import pseudonym
from chatsite.outages import describe, is_outage
from conversations.actions.rows import lock_user
from conversations.events import Topic, publish
from conversations.models import ApiToken, User

logger = logging.getLogger(__name__)

PREFIX = "ponder_"  # by which secret scanners find tokens
SECRET_CHARACTERS = 43  # letters and digits: 256 bits
LONGEST_DAYS = 90
MAX_TOKENS = 10  # of one person that are neither revoked nor expired
ENDED_TOKENS = 10  # of one person that are still listed
USED_INTERVAL = timedelta(minutes=10)  # between two writes of the last use, at least


class TooManyTokens(Exception):
    """The person has `MAX_TOKENS`."""


def create(request: HttpRequest, user: User, *, name: str, scopes: list[str], days: int) -> tuple[ApiToken, str]:
    """Create a token; return its row and the token, which cannot be shown again. Raises `TooManyTokens`."""
    secret = PREFIX + get_random_string(SECRET_CHARACTERS)
    with transaction.atomic():
        lock_user(user.pk)
        own = ApiToken.objects.visible_to(user)
        if own.live().count() >= MAX_TOKENS:
            raise TooManyTokens
        ended = own.exclude(pk__in=own.live()).order_by("-pk").values_list("pk", flat=True)
        own.filter(pk__in=list(ended[ENDED_TOKENS - 1 :])).delete()
        now = timezone.now()
        token = ApiToken.objects.create(
            owner=user,
            name=name,
            scopes=" ".join(scopes),
            digest=_digest(secret),
            created_at=now,
            expires_at=now + timedelta(days=min(days, LONGEST_DAYS)),
        )
    _log("created", token, request)
    get_adapter(request).send_notification_mail("account/email/api_token_created", user, {"token": token})
    return token, secret


def revoke(request: HttpRequest, token: ApiToken) -> None:
    """Revoke a token, if it is not revoked yet, and close its streams."""
    if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        return
    publish(Topic.ACCOUNT_CHANGED, token.owner_id)
    _log("revoked", token, request)
    get_adapter(request).send_notification_mail("account/email/api_token_revoked", token.owner, {"token": token})


def revoke_all(user: User, reason: str) -> int:
    """Revoke all tokens of a person, and return how many there were. `reason` is for the log."""
    revoked = ApiToken.objects.filter(owner=user, revoked_at=None).update(revoked_at=timezone.now())
    if revoked:
        publish(Topic.ACCOUNT_CHANGED, user.pk)
        logger.info("%d API tokens revoked by %s: user %s", revoked, reason, pseudonym(user.pk))
    return revoked


def find(secret: str) -> ApiToken | None:
    """Return the token that a client sends, with its owner, if it may be used now; one query.

    It is looked up by its hash, so the time that this takes tells nothing about the tokens that exist.
    """
    if not secret.startswith(PREFIX):
        return None
    return ApiToken.objects.usable().select_related("owner").filter(digest=_digest(secret)).first()


def note_use(token: ApiToken) -> None:
    """Write when a token was used, unless that was done within `USED_INTERVAL`, or cannot be done now."""
    now = timezone.now()
    if token.used_at and now - token.used_at < USED_INTERVAL:
        return
    is_due = Q(used_at=None) | Q(used_at__lte=now - USED_INTERVAL)
    try:
        ApiToken.objects.filter(is_due, pk=token.pk).update(used_at=now)
    except Error as error:
        if not is_outage(error):
            raise
        logger.info("the use of an API token was not noted: %s", describe(error))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _log(done: str, token: ApiToken, request: HttpRequest) -> None:
    address = get_adapter(request).get_client_ip(request)
    logger.info("API token %d %s: user %s from %s", token.pk, done, pseudonym(token.owner_id), address)
