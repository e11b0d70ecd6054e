"""allauth's account adapter: who may sign up and sign in."""

import logging
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ReauthenticationRequired
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import redirect
from django.urls import reverse

from conversations.accounts import devices, factors, printed_password, sessions, sign_in_log, throttle
from conversations.accounts.invitations import invited_email
from conversations.models import User

logger = logging.getLogger(__name__)

# A session can outlive a role or an account that the provider has removed by this long.
SINGLE_SIGN_ON_DURATION = timedelta(hours=12)


def uses_single_sign_on(user: User) -> bool:
    """Return whether this account signs in through a provider, and therefore not with a password."""
    return SocialAccount.objects.filter(user=user).exists()


class AccountAdapter(DefaultAccountAdapter):
    """allauth's hooks, as `SIGNUP` and single sign-on need them."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "too_many_login_attempts": "There were too many failed attempts to sign in. Try again in 15 minutes, in a "
        "browser in which you have signed in before, or after resetting your password."
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        if settings.SIGNUP != "invite":
            return settings.SIGNUP != "closed"
        email = invited_email(request)
        if email:
            # The invitation was sent to this address, so it needs no confirmation.
            self.stash_verified_email(request, email)
        return bool(email)

    def is_safe_url(self, url: str | None) -> bool:
        try:
            return super().is_safe_url(url)
        except ValueError:  # it is no address
            return False

    def get_login_stages(self) -> list[str]:
        ours = {"allauth.account.stages.EmailVerificationStage": "conversations.accounts.stages.EmailVerificationStage"}
        return [ours.get(stage, stage) for stage in super().get_login_stages()]

    def pre_authenticate(self, request: HttpRequest, **credentials) -> None:
        # In place of allauth's own count for a name, which is per Host and port, and locks out the name's owner.
        attempt = throttle.begin(request, credentials["username"], self.get_client_ip(request))
        if attempt is None:
            sign_in_log.refused(self, credentials["username"], "too many failed attempts")
            raise self.validation_error("too_many_login_attempts")
        self._attempt = attempt

    def authenticate(self, request: HttpRequest, **credentials) -> User | None:
        user = super().authenticate(request, **credentials)
        if user:
            self._attempt.delete()
        return user

    def authentication_failed(self, request: HttpRequest, **credentials) -> None:
        sign_in_log.refused(self, credentials["username"], "wrong username or password")

    def pre_login(self, request: HttpRequest, user: User, **kwargs) -> HttpResponse | None:
        if _is_single_sign_on(kwargs):
            return super().pre_login(request, user, **kwargs)
        if not settings.LOCAL_ACCOUNTS or uses_single_sign_on(user):
            # A password would still work after the provider has removed the account.
            messages.error(request, "This account has no password here. Use single sign-on.")
            return redirect("account_login")
        return super().pre_login(request, user, **kwargs) or printed_password.replace(request, user)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        sign_in_log.refused(self, user.username, "the account is deactivated")
        return super().respond_user_inactive(request, user)

    def post_login(self, request: HttpRequest, user: User, **kwargs) -> HttpResponse:
        if _is_single_sign_on(kwargs):
            sessions.limit(request.session, SINGLE_SIGN_ON_DURATION)
        factors.require(request, user)
        response = super().post_login(request, user, **kwargs)
        if _is_single_sign_on(kwargs):
            sign_in_log.signed_in(self, user, "single sign-on")
        else:
            throttle.remember_browser(response, user.username)
            has_used_passkey = any(record.get("passwordless") for record in get_authentication_records(request, user))
            sign_in_log.signed_in(self, user, "a passkey" if has_used_passkey else "a password")
        return response

    def clean_password(self, password: str, user: User | None = None) -> str:
        if user and user.pk and uses_single_sign_on(user):
            raise ValidationError("This account has no password here. Use single sign-on.")
        return super().clean_password(password, user)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Return whether allauth asks for a password or another factor before a change that `app` makes.

        Raises `ReauthenticationRequired` if single sign-on is the only way in and was too long ago. allauth itself
        would not ask for anything then.
        """
        if super().get_reauthentication_methods(self.request.user):
            return super().is_reauthentication_required(app=app, **kwargs)
        records = get_authentication_records(self.request, self.request.user)
        if not any(time.time() - record["at"] < app_settings.REAUTHENTICATION_TIMEOUT for record in records):
            raise ReauthenticationRequired
        return False

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, Any]]:
        sign_in = {"id": "sign_in_again", "description": "Sign in again", "url": reverse("sign_in_again")}
        return super().get_reauthentication_methods(user) or ([sign_in] if user.is_authenticated else [])

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Tell a person about a change of their account. An account from Entra ID may have no address."""
        # Not the header itself, in which whoever made the change could write to them.
        browser = {"user_agent": devices.describe(self.get_http_user_agent(self.request))}
        # Accounts that an administrator has created have an address here only.
        address = email or EmailAddress.objects.get_primary_email(user) or user.email
        try:
            super().send_notification_mail(template_prefix, user, browser | (context or {}), address)
        except OSError:  # of the mail server; the change has been made
            logger.exception("no email was sent about a change of the account of user %s", user.pk)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        origin = _origin(self.request)
        links = {name: _at(origin, url) for name, url in context.items() if name.endswith("_url")}
        # allauth uses the host name as the site's name.
        site = {"name": settings.SITE_NAME, "domain": urlsplit(origin).netloc}
        # Not allauth's own method, which needs a request: commands send emails too.
        request = {"request": self.request, "email": email}
        self.render_mail(template_prefix, email, request | {"current_site": site} | context | links).send()

    def format_email_subject(self, subject: str) -> str:
        return f"[{settings.SITE_NAME}] {subject}"


def _is_single_sign_on(hook_arguments: dict[str, Any]) -> bool:
    return "sociallogin" in (hook_arguments["signal_kwargs"] or {})


def _origin(request: HttpRequest | None) -> str:
    """Return where links in emails lead: to the trusted origin with the request's host name, or else the first one.

    Not to the request's Host, because whoever asks for an email chooses the port in it. Only a site without
    `CSRF_TRUSTED_ORIGINS` knows nothing else. A command has no request.
    """
    if request is None:
        return next(iter(settings.CSRF_TRUSTED_ORIGINS), f"http://localhost:{settings.PORT}")
    host, _ = split_domain_port(request.get_host())
    origins = settings.CSRF_TRUSTED_ORIGINS or [f"{request.scheme}://{request.get_host()}"]
    return next((origin for origin in origins if urlsplit(origin).hostname == host), origins[0])


def _at(origin: str, url: str) -> str:
    """Return an address of this site at another origin."""
    scheme, netloc, *_ = urlsplit(origin)
    return urlsplit(url)._replace(scheme=scheme, netloc=netloc).geturl()
