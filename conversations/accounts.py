"""Who may get in, by allauth's adapter; and word to open sockets when an account changes."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.signals import password_changed, password_reset, password_set
from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from conversations.control import doorbell


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.SIGNUP == "open"


@receiver(user_logged_out, dispatch_uid="sockets")
@receiver((password_changed, password_reset, password_set), dispatch_uid="sockets")
def tell_sockets(sender, request=None, user=None, **_kwargs) -> None:
    """Have every open socket look again whether its session still holds."""
    if user is not None:
        doorbell.ring("accounts", user.pk)
