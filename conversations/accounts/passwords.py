"""Which passwords are refused because others may know or guess them."""

import string
from typing import Any

from django.conf import settings
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from conversations.accounts import api_tokens
from conversations.models import User

AROUND = string.digits + string.punctuation + string.whitespace
LOOKALIKES = str.maketrans("@4$5013!7", "aassoleit")
SHORTEST_WORD = 3  # letters; as few beside a name add nothing to it


class KnownPasswordValidator(password_validation.CommonPasswordValidator):
    """Django's list of common passwords, the one that `first_administrator` printed, and variations on a public site.

    A variation is a common password, or the user's or the site's name, with digits and symbols around it or instead of
    letters: "Password123!" is one.
    """

    def validate(self, password: str, user: Any = None) -> None:
        super().validate(password, user)
        if settings.IS_PUBLIC and self._is_variation(password, user):
            raise ValidationError(
                "This password is easy to guess: it is a common one, or a name, with some characters changed or added.",
                code="password_too_common",
            )
        if user and user.password_expires_at and user.check_password(password):
            raise ValidationError("Choose another password than the one that was printed.", code="password_printed")

    def password_changed(self, password: str, user: Any = None) -> None:
        """Django calls this when a new password has been saved, however it was changed."""
        if user:
            api_tokens.revoke_all(user, "a new password")
        if user and user.password_expires_at:
            User.objects.filter(pk=user.pk).update(password_expires_at=None)
            user.password_expires_at = None

    def _is_variation(self, password: str, user: Any) -> bool:
        text = password.lower()
        # A symbol at the start may be a letter ("$ummer1") or not ("!summer1").
        return any(self._is_guessable(_letters(core), user) for core in (text.rstrip(AROUND), text.strip(AROUND)))

    def _is_guessable(self, letters: str, user: Any) -> bool:
        half = letters[: len(letters) // 2]
        if len(letters) >= SHORTEST_WORD and self.passwords & {letters, half if half * 2 == letters else letters}:
            return True
        rest = letters
        for name in _names(user):
            rest = rest.replace(name, "")
        return rest != letters and (len(rest) <= SHORTEST_WORD or rest in self.passwords)


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.translate(LOOKALIKES)))


def _names(user: Any) -> list[str]:
    """Return the names that belong to the user or the site, as `_letters`, longest first."""
    fields = [getattr(user, field, "") for field in ("username", "first_name", "last_name", "email")]
    texts = [text.lower() for text in (settings.SITE_NAME, *settings.ALLOWED_HOSTS, *fields)]
    parts = {_letters(part) for text in texts for part in (text, *text.replace("@", ".").split("."))}
    return sorted((part for part in parts if len(part) >= SHORTEST_WORD), key=len, reverse=True)
