"""Tokens by which a person's own programs use `/api/v1/`."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from conversations.models.user import User

NAME_CHARACTERS = 60
# The site is not told when a provider of single sign-on removes an account, so tokens of its people stop working when
# they have not signed in for so long.
SINGLE_SIGN_ON_PAUSE = timedelta(days=7)


class Scope(models.TextChoices):
    """What a token allows: always with its owner's own data alone, whatever else they may do on the site."""

    READ = "read", "Read conversations"
    EXPORT = "export", "Export conversations"
    ASK = "ask", "Ask questions, follow the answers and stop them"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def visible_to(self, user: User) -> "ApiTokenQuerySet":
        return self.filter(owner=user)

    def live(self) -> "ApiTokenQuerySet":
        """Keep what is neither revoked nor expired."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now())

    def usable(self) -> "ApiTokenQuerySet":
        """Keep the live tokens of active people, without those that are paused."""
        paused = Q(owner__last_login=None) | Q(owner__last_login__lte=timezone.now() - SINGLE_SIGN_ON_PAUSE)
        if settings.LOCAL_ACCOUNTS:
            paused &= Q(Exists(User.objects.filter(pk=OuterRef("owner"), socialaccount__isnull=False)))
        return self.live().filter(owner__is_active=True).exclude(paused)


class ApiToken(models.Model):
    """A token, known by its SHA-256 only. A trigger revokes those of a deactivated account (migration 0035)."""

    # Without a constraint in Django's sense, like `Attachment.owner`.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens", db_constraint=False)
    name = models.CharField(max_length=NAME_CHARACTERS)
    scopes = models.CharField(max_length=40)  # separated by spaces
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)  # some minutes ago, or never
    revoked_at = models.DateTimeField(null=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"API token {self.pk}"

    def allows(self, scope: str) -> bool:
        return scope in self.scopes.split()

    @property
    def allowed(self) -> list[str]:
        """Return what it allows, for people to read."""
        return [str(scope.label) for scope in Scope if self.allows(scope)]

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()
