import uuid

from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac

REDIS_PREFIX_CHARACTERS = 32  # of hexadecimal digits: 128 bits


class Site(models.Model):
    """The identity of this site: one row, which a migration creates. A restored copy of the database has the same."""

    uuid = models.UUIDField(default=uuid.uuid4, editable=False)
    # Whether it has begun to use a storage for files, which then is marked as its own; see `conversations.storage`.
    has_storage = models.BooleanField(db_default=False)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_site")]

    def __str__(self) -> str:
        return f"Site {self.uuid}"

    @property
    def redis_prefix(self) -> str:
        """Return what all names on Redis start with, so that sites that share a server never get each other's events.

        Derived from SECRET_KEY too: a restored copy beside its original has a key of its own.
        """
        digest = salted_hmac("redis", self.uuid.hex, algorithm="sha256").hexdigest()
        return f"{digest[:REDIS_PREFIX_CHARACTERS]}."
