"""Invitations: signed links that let the holder of one email address create an account. They are not stored."""

from allauth.account.models import EmailAddress
from django.core import signing
from django.http import HttpRequest

INVITATION = "invitation"  # the query parameter of a link, the key in the session and the salt of the signature
INVITATION_DAYS = 7


def invitation_token(email: str) -> str:
    """Return the signed token for an invitation of `email`."""
    return signing.dumps(email.lower(), salt=INVITATION)


def invited_email(request: HttpRequest) -> str:
    """Return the address that this visitor's invitation is for; "" without a valid invitation."""
    token = request.GET.get(INVITATION) or request.session.get(INVITATION, "")
    try:
        email = signing.loads(token, salt=INVITATION, max_age=INVITATION_DAYS * 24 * 60 * 60)
    except signing.BadSignature:
        return ""
    if EmailAddress.objects.filter(email=email).exists():
        return ""  # already used
    request.session[INVITATION] = token
    return email
