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

from conversations.accounts import printed_password, sign_in_log, throttle
from conversations.accounts.invitations import invited_email
from conversations.models import User

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
        response = super().post_login(request, user, **kwargs)
        if _is_single_sign_on(kwargs):
            # As a time: a number of seconds would start again whenever the session changes.
            request.session.set_expiry(timezone.now() + SINGLE_SIGN_ON_DURATION)
            sign_in_log.signed_in(self, user, "single sign-on")
        else:
            throttle.remember_browser(response, user.username)
            sign_in_log.signed_in(self, user, "a password")
        return response

    def clean_password(self, password: str, user: User | None = None) -> str:
        if user and user.pk and uses_single_sign_on(user):
            raise ValidationError("This account has no password here. Use single sign-on.")
        return super().clean_password(password, user)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        origin = _origin(self.request)
        links = {name: _at(origin, url) for name, url in context.items() if name.endswith("_url")}
        # allauth uses the host name as the site's name.
        site = {"name": settings.SITE_NAME, "domain": urlsplit(origin).netloc}
        super().send_mail(template_prefix, email, {"current_site": site} | context | links)

    def format_email_subject(self, subject: str) -> str:
        return f"[{settings.SITE_NAME}] {subject}"


def _is_single_sign_on(hook_arguments: dict[str, Any]) -> bool:
    return "sociallogin" in (hook_arguments["signal_kwargs"] or {})


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
