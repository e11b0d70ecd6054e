from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from django import forms
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from conversations.accounts.addresses import is_confirmed, username_of
from conversations.accounts.api_tokens import LONGEST_DAYS
from conversations.accounts.invitations import use_invitation
from conversations.models import Scope, User
from conversations.models.api_token import NAME_CHARACTERS


class LoginForm(AllauthLoginForm):
    """allauth's form, in which the username may be an email address.

    The account is found before the password is checked. allauth would check the password of every account that is
    meant, and the time it takes would tell how many there are.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        attributes = {"placeholder": "Username or email", "autocomplete": "username"}
        self.fields["login"] = forms.CharField(max_length=254, widget=forms.TextInput(attributes))

    def user_credentials(self) -> dict[str, Any]:
        credentials = super().user_credentials()
        return credentials | {"username": username_of(credentials["username"])}


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

    def validate_unique_email(self, value: str) -> str:
        if settings.ACCOUNT_PREVENT_ENUMERATION != "strict":
            return super().validate_unique_email(value)  # which says so if the address is taken
        # The page is the same in both cases. Only an email to the address's owner says that there is an account.
        self.account_already_exists = is_confirmed(value)
        return value

    def try_save(self, request: HttpRequest) -> tuple[User | None, Any]:
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])  # takes as long as a new account
        return super().try_save(request)

    def save(self, request: HttpRequest) -> User:
        if settings.SIGNUP != "invite":
            return super().save(request)
        with transaction.atomic():
            use_invitation(request)
            return super().save(request)


class DeleteAccountForm(forms.Form):
    username = forms.CharField(label="Your username", widget=forms.TextInput({"autocomplete": "off"}))

    def __init__(self, *args, user: User, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_username(self) -> str:
        if self.cleaned_data["username"] != self._user.username:
            raise ValidationError("This is not your username. Enter it exactly as shown above.")
        return self._user.username


class ApiTokenForm(forms.Form):
    """A new API token: its name, what it allows, and for how many days."""

    name = forms.CharField(label="Name", max_length=NAME_CHARACTERS, widget=forms.TextInput({"autocomplete": "off"}))
    scopes = forms.MultipleChoiceField(
        label="What it allows",
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )
    days = forms.TypedChoiceField(
        label="Days until it expires", choices=[(days, f"{days} days") for days in (7, 30, LONGEST_DAYS)], coerce=int
    )
