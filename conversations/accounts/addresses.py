"""Whose account a name or an email address means."""

from allauth.account.models import EmailAddress

from conversations.models import User


def username_of(login: str) -> str:
    """Return the username of the account that someone means who signs in with a username or an email address.

    Return `login` itself if there is none. A confirmed address comes first, then a username, then an address that
    nobody has confirmed: nobody takes the place of another account by claiming its address or username. Everything is
    looked up in any case, so that the time it takes does not depend on what exists.
    """
    email = login.lower()
    claimed = EmailAddress.objects.filter(email=email).order_by("-verified", "-pk").select_related("user").first()
    is_username = User.objects.filter(username__iexact=login).exists()
    stored = User.objects.filter(email=email).order_by("-pk").first() if email else None
    if claimed and claimed.verified:
        return claimed.user.username
    if is_username:
        return login
    return claimed.user.username if claimed else stored.username if stored else login


def is_confirmed(email: str) -> bool:
    """Return whether an account has shown that it owns this address. Any other claim keeps nobody from using theirs."""
    return EmailAddress.objects.filter(email=email, verified=True).exists()
