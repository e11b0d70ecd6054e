import contextlib
import sqlite3
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import connections

from tests import restored


class Command(flush.Command):
    """Copy the migrated database over the one of the test.

    Django's own deletes all rows, also those that migrations write but not those of the audit trail, and then creates
    the permissions again, which takes ten times as long.
    """

    def handle(self, *, database: str, **options: Any) -> None:
        path = connections[database].settings_dict["NAME"]
        with (
            contextlib.closing(sqlite3.connect(restored.template)) as source,
            contextlib.closing(sqlite3.connect(path, timeout=20)) as target,
        ):
            source.backup(target)
        ContentType.objects.clear_cache()
