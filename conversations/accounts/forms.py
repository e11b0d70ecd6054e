from allauth.account.adapter import get_adapter
from allauth.account.forms import SignupForm as AllauthSignupForm
from django.conf import settings
from django.core.exceptions import ValidationError


class SignupForm(AllauthSignupForm):
    """allauth's form, limited to the addresses that `SIGNUP` allows."""

    def clean_email(self) -> str:
        email = super().clean_email()
        invitation = get_adapter().request.session.get("account_verified_email")
        if settings.SIGNUP == "invite" and email.lower() != invitation:
            raise ValidationError(f"Your invitation is for {invitation}. Use that address.")
        if settings.SIGNUP_DOMAIN and email.lower().rpartition("@")[2] != settings.SIGNUP_DOMAIN:
            raise ValidationError(f"Use an email address at {settings.SIGNUP_DOMAIN}.")
        return email
