"""Who may get in, by allauth's adapter; and word to open sockets when an account changes."""

from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.models import EmailAddress
from allauth.account.signals import password_changed, password_reset, password_set
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.signals import user_logged_out
from django.contrib.sites.shortcuts import get_current_site
from django.core import signing
from django.core.exceptions import ValidationError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from conversations.control import doorbell
from conversations.models import User

INVITATION = "invitation"  # in a link's query, and then in the session
INVITATION_DAYS = 7
# A working day, then Microsoft is asked again: that long may somebody stay whom the tenant has let go, or keep a role.
TENANT_SESSION = timedelta(hours=12)


def invitation(email: str) -> str:
    """Return what a link carries that lets the holder of `email` make one account; signed, not kept."""
    return signing.dumps(email.lower(), salt=INVITATION)


def invited(request: HttpRequest) -> str:
    """Return the address that this visitor is invited by; '' without an invitation that still holds."""
    token = request.GET.get(INVITATION) or request.session.get(INVITATION, "")
    try:
        email = signing.loads(token, salt=INVITATION, max_age=INVITATION_DAYS * 24 * 60 * 60)
    except signing.BadSignature:
        return ""
    if EmailAddress.objects.filter(email=email).exists():
        return ""  # it has been used
    request.session[INVITATION] = token
    return email


def is_of_tenant(user: User) -> bool:
    """Tell whether this account came by Entra ID: then the tenant alone says who may use it."""
    return SocialAccount.objects.filter(user=user).exists()


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        if settings.SIGNUP != "invite":
            return settings.SIGNUP != "closed"
        email = invited(request)
        if email:
            self.stash_verified_email(
                request, email
            )  # who has the link reads that mailbox, or was given it by who does
        return bool(email)

    def pre_login(self, request: HttpRequest, user: User, **about) -> HttpResponse | None:
        by_tenant = "sociallogin" in (about["signal_kwargs"] or {})
        if not by_tenant and is_of_tenant(user):  # a password, whoever gave it one, would outlive the tenant's word
            messages.error(request, "This account signs in with Microsoft.")
            return redirect("account_login")
        return super().pre_login(request, user, **about)

    def post_login(self, request: HttpRequest, user: User, **about) -> HttpResponse:
        if "sociallogin" in (about["signal_kwargs"] or {}):
            request.session.set_expiry(timezone.now() + TENANT_SESSION)  # seconds would count anew with each change
        return super().post_login(request, user, **about)

    def clean_password(self, password: str, user: User | None = None) -> str:
        if user and user.pk and is_of_tenant(user):
            raise ValidationError("This account signs in with Microsoft and has no password here.")
        return super().clean_password(password, user)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        # allauth would call the site by its host name.
        site = {"name": settings.SITE_NAME, "domain": get_current_site(self.request).domain}
        super().send_mail(template_prefix, email, {"current_site": site} | context)

    def format_email_subject(self, subject: str) -> str:
        return f"[{settings.SITE_NAME}] {subject}"


class SignupForm(AllauthSignupForm):
    """allauth's, for those whom SIGNUP lets in."""

    def clean_email(self) -> str:
        email = super().clean_email()
        invitation = get_adapter().request.session.get("account_verified_email")
        if settings.SIGNUP == "invite" and email.lower() != invitation:
            raise ValidationError(f"Your invitation is for {invitation}.")
        if settings.SIGNUP_DOMAIN and email.lower().rpartition("@")[2] != settings.SIGNUP_DOMAIN:
            raise ValidationError(f"Accounts here are for addresses of {settings.SIGNUP_DOMAIN}.")
        return email


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
