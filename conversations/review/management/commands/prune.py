"""Delete reasoning, conversations, deactivated accounts and rows of the audit trail older than RETAIN_… says.

Run it once a day; for rows of the trail (RETAIN_AUDIT_DAYS) as the owner of the tables.
"""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import ProgrammingError
from psycopg.errors import InsufficientPrivilege

from conversations.review import retention


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *args, dry_run: bool, **options) -> None:
        if not dry_run:
            try:
                for sentence in retention.prune():
                    self.stdout.write(sentence)
            except ProgrammingError as error:
                if not isinstance(error.__cause__, InsufficientPrivilege):
                    raise
                raise CommandError(
                    "Only the owner of the tables may delete rows of the audit trail (RETAIN_AUDIT_DAYS): run this "
                    "with the owner's DATABASE_URL. What is said above is done."
                ) from error
            return
        self.stdout.write(f"Reasoning of {retention.expired_reasoning().count()} messages would be deleted.")
        self.stdout.write(f"{retention.expired_conversations().count()} conversations would be deleted.")
        self.stdout.write(f"{retention.expired_accounts().distinct().count()} deactivated accounts would be deleted.")
        self.stdout.write(f"{retention.expired_rows()} rows of the audit trail would be deleted.")
