"""allauth's forms for passkeys, with limits."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm
from django import forms
from django.core.exceptions import ValidationError

MAX_PASSKEYS = 10
NAME_CHARACTERS = 60


class AddPasskeyForm(AddWebAuthnForm):
    name = forms.CharField(max_length=NAME_CHARACTERS, required=False)
    # A passkey can always be used alone: it checks who uses it.
    passwordless = forms.BooleanField(initial=True, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        passkeys = Authenticator.objects.filter(user=self.user, type=Authenticator.Type.WEBAUTHN)
        if passkeys.count() >= MAX_PASSKEYS:
            raise ValidationError(f"You can have {MAX_PASSKEYS} passkeys. Remove one to add another.")
        return super().clean()


class RenamePasskeyForm(EditWebAuthnForm):
    name = forms.CharField(max_length=NAME_CHARACTERS)
