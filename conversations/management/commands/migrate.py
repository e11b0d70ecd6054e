"""Django's migrate, in one process at a time: replicas, jobs and operators may run it concurrently."""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK = int.from_bytes(b"ponder")  # any number that other applications in the database do not use


class Command(migrate.Command):
    def handle(self, *args, database: str, **options) -> None:
        with self.lock(connections[database]):
            super().handle(*args, database=database, **options)

    @contextlib.contextmanager
    def lock(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Take a PostgreSQL advisory lock, which is released if this process dies. SQLite needs none."""
        if connection.vendor != "postgresql":
            yield
            return
        if not call(connection, "pg_try_advisory_lock"):
            self.stdout.write("Waiting for another process to finish migrating")
            self.stdout.flush()
            call(connection, "pg_advisory_lock")
        try:
            yield
        finally:
            call(connection, "pg_advisory_unlock")


def call(connection: BaseDatabaseWrapper, function: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"select {function}(%s)", [LOCK])
        return cursor.fetchone()[0]
