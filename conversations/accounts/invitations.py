"""Invitations: signed links that let the holder of one email address create one account. Only used ones are stored."""

import hashlib
from datetime import timedelta

from allauth.core.exceptions import ImmediateHttpResponse
from django.core import signing
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils import timezone

from conversations.accounts.addresses import is_confirmed
from conversations.accounts.models import UsedInvitation

INVITATION = "invitation"  # the query parameter of a link, the key in the session and the salt of the signature
VALIDITY = timedelta(days=7)


def invitation_token(email: str) -> str:
    """Return the signed token for an invitation of `email`."""
    return signing.dumps(email.lower(), salt=INVITATION)


def invited_email(request: HttpRequest) -> str:
    """Return the address that this visitor's invitation is for; "" without a valid invitation."""
    token = request.GET.get(INVITATION) or request.session.get(INVITATION, "")
    try:
        email = signing.loads(token, salt=INVITATION, max_age=VALIDITY)
    except signing.BadSignature:
        return ""
    if is_confirmed(email) or UsedInvitation.objects.filter(digest=_digest(token)).exists():
        return ""
    request.session[INVITATION] = token
    return email


def use_invitation(request: HttpRequest) -> None:
    """Record in the caller's transaction that this visitor's invitation is used; end the request if it already was."""
    UsedInvitation.objects.filter(used_at__lt=timezone.now() - VALIDITY).delete()
    _, is_first = UsedInvitation.objects.get_or_create(digest=_digest(request.session[INVITATION]))
    if not is_first:
        raise ImmediateHttpResponse(redirect("account_signup"))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
