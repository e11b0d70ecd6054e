"""Who may get in, by allauth's adapter; and word to open sockets when an account changes."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.signals import password_changed, password_reset, password_set
from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from conversations.control import doorbell
from conversations.models import User


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.SIGNUP == "open"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        # allauth would call the site by its host name.
        super().send_mail(template_prefix, email, {"current_site": {"name": settings.SITE_NAME}} | context)

    def format_email_subject(self, subject: str) -> str:
        return f"[{settings.SITE_NAME}] {subject}"


@receiver(user_logged_out, dispatch_uid="sockets")
@receiver((password_changed, password_reset, password_set), dispatch_uid="sockets")
def tell_sockets(sender: Any, user: User | None = None, **_kwargs) -> None:
    """Have every open socket look again whether its session still holds."""
    if user is not None:
        doorbell.ring("accounts", user.pk)
