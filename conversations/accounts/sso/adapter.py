"""allauth's adapter for external accounts; here, only those of the providers in the settings."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from conversations.accounts.sso import failures, roles
from conversations.accounts.sso.failures import SignInFailed, Stale
from conversations.models import User


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return the registrations from the settings; registrations in the database are ignored."""
        registrations = [
            ("entra", "Microsoft", settings.ENTRA_CLIENT_ID, settings.ENTRA_CLIENT_SECRET),
            ("oidc", settings.OIDC_NAME, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET),
        ]
        return [
            SocialApp(provider=key, provider_id=key, name=name, client_id=registered, secret=secret)
            for key, name, registered, secret in registrations
            if registered and provider in (None, key) and client_id in (None, registered)
        ]

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        """Take the username from the provider; allauth chooses another if it is taken."""
        user = sociallogin.user
        user.username = data["username"]
        _update_name(sociallogin)
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        user = sociallogin.user
        if user.pk is None:
            return  # allauth calls `save_user` next
        if not user.is_active:
            return  # allauth refuses the sign-in next
        with transaction.atomic():
            _update_name(sociallogin)
            user.save(update_fields=["first_name", "last_name"])
            _apply_roles(request, sociallogin)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """Create the account with its roles, in one transaction."""
        get_adapter(request).unstash_verified_email(request)  # an invitation must not add an address to this account
        try:
            with transaction.atomic():
                user = super().save_user(request, sociallogin, form)
                _apply_roles(request, sociallogin)
                return user
        except IntegrityError as error:
            # A double click: another request for the same person has just created the account.
            failure = failures.response(request, sociallogin.provider, Stale("account already created"))
            raise ImmediateHttpResponse(failure) from error

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Respond with our page for every failure."""
        if isinstance(exception, SignInFailed):
            failure = exception
        elif "state" in (extra_context or {}) and "error" in request.GET:
            failure = failures.from_oauth_error(request.GET)
        else:
            failure = Stale("unknown state")
        raise ImmediateHttpResponse(failures.response(request, provider, failure))


def _update_name(sociallogin: SocialLogin) -> None:
    user = sociallogin.user
    user.first_name, _, user.last_name = sociallogin.account.extra_data["name"].partition(" ")


def _apply_roles(request: HttpRequest, sociallogin: SocialLogin) -> None:
    granted = sociallogin.account.extra_data["roles"]
    if granted is not None:
        address = get_adapter(request).get_client_ip(request)
        roles.apply(sociallogin.user, granted, provider=sociallogin.provider.log_name, address=address)
