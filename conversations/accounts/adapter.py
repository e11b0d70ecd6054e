"""allauth's account adapter: who may sign up and sign in."""

from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from conversations.accounts.invitations import invited_email
from conversations.models import User

# A working day: that long a session outlives a role or an account that the tenant has removed.
TENANT_SESSION = timedelta(hours=12)


def is_managed_by_tenant(user: User) -> bool:
    """Return whether this account came by Entra ID; then only the tenant decides who may use it."""
    return SocialAccount.objects.filter(user=user).exists()


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        if settings.SIGNUP != "invite":
            return settings.SIGNUP != "closed"
        email = invited_email(request)
        if email:
            # Whoever has the link reads that mailbox, or got the link from somebody who does.
            self.stash_verified_email(request, email)
        return bool(email)

    def pre_login(self, request: HttpRequest, user: User, **kwargs) -> HttpResponse | None:
        by_tenant = "sociallogin" in (kwargs["signal_kwargs"] or {})
        if not by_tenant and is_managed_by_tenant(user):
            # A password, whoever set it, would outlive the account in the tenant.
            messages.error(request, "This account signs in with Microsoft.")
            return redirect("account_login")
        return super().pre_login(request, user, **kwargs)

    def post_login(self, request: HttpRequest, user: User, **kwargs) -> HttpResponse:
        if "sociallogin" in (kwargs["signal_kwargs"] or {}):
            # A number of seconds would start again with every change of the session.
            request.session.set_expiry(timezone.now() + TENANT_SESSION)
        return super().post_login(request, user, **kwargs)

    def clean_password(self, password: str, user: User | None = None) -> str:
        if user and user.pk and is_managed_by_tenant(user):
            raise ValidationError("This account signs in with Microsoft and has no password here.")
        return super().clean_password(password, user)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        # allauth would use the host name as the site's name.
        site = {"name": settings.SITE_NAME, "domain": get_current_site(self.request).domain}
        super().send_mail(template_prefix, email, {"current_site": site} | context)

    def format_email_subject(self, subject: str) -> str:
        return f"[{settings.SITE_NAME}] {subject}"
