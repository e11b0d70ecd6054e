"""Django's migrate, one process at a time: replicas, jobs and operators may all run it, in any order and at once."""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK = int.from_bytes(b"ponder")  # the number itself means nothing; other applications in the database use another


class Command(migrate.Command):
    def handle(self, *args, database: str, **options) -> None:
        with self.alone(connections[database]):
            super().handle(*args, database=database, **options)

    @contextlib.contextmanager
    def alone(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Hold PostgreSQL's advisory lock, which goes with the session if this process dies; SQLite locks by itself."""
        if connection.vendor != "postgresql":
            yield
            return
        if not ask(connection, "pg_try_advisory_lock"):
            self.stdout.write("Waiting for another process to finish migrating")
            self.stdout.flush()  # whoever waits wants to know why
            ask(connection, "pg_advisory_lock")
        try:
            yield
        finally:
            ask(connection, "pg_advisory_unlock")


def ask(connection: BaseDatabaseWrapper, function: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"select {function}(%s)", [LOCK])
        return cursor.fetchone()[0]
