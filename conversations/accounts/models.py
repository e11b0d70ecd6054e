"""Tables that only accounts use. They carry the label of the app `conversations`, whose migrations create them."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class SignInAttempt(models.Model):
    """An attempt to sign in with a password that failed, or whose password is being checked. `throttle` counts these.

    Account, address and browser are keyed hashes: what people enter as their username is sometimes their password.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    account = models.CharField(max_length=64)
    address = models.CharField(max_length=64)
    browser = models.CharField(max_length=64, blank=True)  # empty: one in which the account has never signed in

    class Meta:
        app_label = "conversations"
        default_permissions = ()
        indexes = [
            models.Index(fields=["account", "at"], name="attempt_account"),
            models.Index(fields=["address", "at"], name="attempt_address"),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.pk}"


class UsedInvitation(models.Model):
    """An invitation with which somebody has signed up, as the SHA-256 of its token; deleted when it would expire."""

    digest = models.CharField(max_length=64, primary_key=True)
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = "conversations"
        default_permissions = ()

    def __str__(self) -> str:
        return f"Invitation {self.digest[:8]}"


class UserSession(models.Model):
    """Whose session a row of `django_session` is, so that people can list and end theirs.

    Everything else about a session is in the session itself; see `sessions`.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=40, unique=True)

    class Meta:
        app_label = "conversations"
        default_permissions = ()

    def __str__(self) -> str:
        return f"Session {self.pk}"
