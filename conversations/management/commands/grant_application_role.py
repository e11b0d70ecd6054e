"""Let a PostgreSQL role run the site, and only add to the audit trail. Run as the owner of the tables, after `migrate`.

The role must exist (`create role site login password '…'`) and owns nothing: it cannot disable the triggers either.
What later migrations of the same owner make is granted as well.
"""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from psycopg import sql

GRANTS = (
    "grant usage on schema public to {role}",
    "grant select, insert, update, delete on all tables in schema public to {role}",
    "grant usage, select on all sequences in schema public to {role}",
    "alter default privileges in schema public grant select, insert, update, delete on tables to {role}",
    "alter default privileges in schema public grant usage, select on sequences to {role}",
    "revoke all on conversations_auditentry from {role}",
    "grant select, insert on conversations_auditentry to {role}",
)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role")

    def handle(self, *args, role: str, **options) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("Roles are PostgreSQL's; on SQLite whoever can write the file can rewrite the trail.")
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in GRANTS:
                cursor.execute(sql.SQL(statement).format(role=sql.Identifier(role)))
        self.stdout.write(f"{role} may run the site and only add to the audit trail.")
