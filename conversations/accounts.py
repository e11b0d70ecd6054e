"""Who may get in, by allauth's adapter; and word to open sockets when an account changes."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.signals import password_changed, password_reset, password_set
from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.contrib.sites.shortcuts import get_current_site
from django.dispatch import receiver
from django.http import HttpRequest

from conversations.control import doorbell
from conversations.models import User


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.SIGNUP == "open"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        # allauth would call the site by its host name.
        site = {"name": settings.SITE_NAME, "domain": get_current_site(self.request).domain}
        super().send_mail(template_prefix, email, {"current_site": site} | context)

    def format_email_subject(self, subject: str) -> str:
        return f"[{settings.SITE_NAME}] {subject}"


@receiver(user_logged_out, dispatch_uid="sockets")
def end_session(request: HttpRequest | None, user: User | None, **_kwargs) -> None:
    """Sign open sockets out too."""
    if request and user:
        request.session.flush()  # Django does so after this signal, when the sockets would have looked already
        doorbell.ring("accounts", user.pk)


@receiver((password_changed, password_reset, password_set), dispatch_uid="sockets")
def password_replaced(user: User, **_kwargs) -> None:
    """Have this person's sockets look again: their other sessions do not hold any more."""
    doorbell.ring("accounts", user.pk)
