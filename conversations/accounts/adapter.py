"""allauth's account adapter: who may sign up and sign in."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import redirect
from django.utils import timezone

from conversations.accounts.invitations import invited_email
from conversations.models import User

# A session can outlive a role or an account that the tenant has removed by this long.
TENANT_SESSION_DURATION = timedelta(hours=12)


def is_managed_by_tenant(user: User) -> bool:
    """Return whether this account signs in with Entra ID, and therefore not with a password."""
    return SocialAccount.objects.filter(user=user).exists()


class AccountAdapter(DefaultAccountAdapter):
    """allauth's hooks, as `SIGNUP` and sign-in with Entra ID need them."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        if settings.SIGNUP != "invite":
            return settings.SIGNUP != "closed"
        email = invited_email(request)
        if email:
            # The invitation was sent to this address, so it needs no confirmation.
            self.stash_verified_email(request, email)
        return bool(email)

    def pre_login(self, request: HttpRequest, user: User, **kwargs) -> HttpResponse | None:
        with_entra = "sociallogin" in (kwargs["signal_kwargs"] or {})
        if not with_entra and is_managed_by_tenant(user):
            # A password would still work after the tenant has removed the account.
            messages.error(request, "This account signs in with Microsoft.")
            return redirect("account_login")
        return super().pre_login(request, user, **kwargs)

    def post_login(self, request: HttpRequest, user: User, **kwargs) -> HttpResponse:
        if "sociallogin" in (kwargs["signal_kwargs"] or {}):
            # As a time: a number of seconds would start again whenever the session changes.
            request.session.set_expiry(timezone.now() + TENANT_SESSION_DURATION)
        return super().post_login(request, user, **kwargs)

    def clean_password(self, password: str, user: User | None = None) -> str:
        if user and user.pk and is_managed_by_tenant(user):
            raise ValidationError("This account signs in with Microsoft and has no password here.")
        return super().clean_password(password, user)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        origin = _origin(self.request)
        links = {name: _at(origin, url) for name, url in context.items() if name.endswith("_url")}
        # allauth uses the host name as the site's name.
        site = {"name": settings.SITE_NAME, "domain": urlsplit(origin).netloc}
        super().send_mail(template_prefix, email, {"current_site": site} | context | links)

    def format_email_subject(self, subject: str) -> str:
        return f"[{settings.SITE_NAME}] {subject}"


def _origin(request: HttpRequest) -> str:
    """Return where links in emails lead: to the trusted origin with the request's host name, or else the first one.

    Not to the request's Host, because whoever asks for an email chooses the port in it. Only a site without
    `CSRF_TRUSTED_ORIGINS` knows nothing else.
    """
    host, _ = split_domain_port(request.get_host())
    origins = settings.CSRF_TRUSTED_ORIGINS or [f"{request.scheme}://{request.get_host()}"]
    return next((origin for origin in origins if urlsplit(origin).hostname == host), origins[0])


def _at(origin: str, url: str) -> str:
    """Return an address of this site at another origin."""
    scheme, netloc, *_ = urlsplit(origin)
    return urlsplit(url)._replace(scheme=scheme, netloc=netloc).geturl()
