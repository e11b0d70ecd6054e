from django.conf import settings
from django.db import models


class UserSession(models.Model):
    """Whose session a row of `django_session` is, so that people can list and end theirs.

    Everything else about a session is in the session itself; see `accounts.sessions`.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=40, unique=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"session {self.pk} of user {self.user_id}"
