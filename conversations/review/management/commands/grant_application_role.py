"""Grant a PostgreSQL role what it needs to run the site. The role can add to the audit trail but not change it.

Run this as the owner of the tables, after `migrate`. The role must exist (`create role site login password '…'`) and
own nothing, so that it cannot disable the triggers. Tables from later migrations by the same owner are granted too.
On Azure, `--entra` creates a role without a password, for the managed identity with that object id.
"""

from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
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
        parser.add_argument(
            "--entra", type=UUID, metavar="OBJECT_ID", help="create the role, for this managed identity"
        )

    def handle(self, *args, role: str, entra: UUID | None, **options) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("This command needs PostgreSQL: SQLite has no roles.")
        with transaction.atomic(), connection.cursor() as cursor:
            if entra:
                create_entra_role(cursor, role, entra)
            for statement in GRANTS:
                cursor.execute(sql.SQL(statement).format(role=sql.Identifier(role)))
        self.stdout.write(f"{role} can run the site. It can add to the audit trail but not change it.")


def create_entra_role(cursor: CursorWrapper, role: str, object_id: UUID) -> None:
    """Create the role if it does not exist, and bind it to the managed identity.

    With the label that Azure's `pgaadauth_create_principal_with_oid` sets: that function exists in one database only.
    """
    cursor.execute("select from pg_roles where rolname = %s", [role])
    if not cursor.fetchone():
        cursor.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    label = sql.SQL("security label for pgaadauth on role {} is {}")
    cursor.execute(label.format(sql.Identifier(role), sql.Literal(f"aadauth,oid={object_id},type=service")))
