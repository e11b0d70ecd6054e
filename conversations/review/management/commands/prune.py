"""Delete reasoning, conversations, deactivated accounts and audit entries older than the RETAIN_…_DAYS settings.

Run it once a day. To delete audit entries (RETAIN_AUDIT_DAYS), run it as the owner of the tables.
"""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import ProgrammingError
from psycopg.errors import InsufficientPrivilege

from conversations.review import retention


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count what would be deleted")

    def handle(self, *args, dry_run: bool, **options) -> None:
        if not dry_run:
            try:
                for sentence in retention.prune():
                    self.stdout.write(sentence)
            except ProgrammingError as error:
                if not isinstance(error.__cause__, InsufficientPrivilege):
                    raise
                raise CommandError(
                    "Only the owner of the tables can delete audit entries (RETAIN_AUDIT_DAYS). Run this command with "
                    "the owner's DATABASE_URL. The deletions listed above are done."
                ) from error
            return
        self.stdout.write(f"Would delete the reasoning of {retention.expired_reasoning().count()} messages.")
        self.stdout.write(f"Would delete {retention.expired_conversations().count()} conversations.")
        instructions = retention.expired_instructions().count()
        self.stdout.write(f"Would delete {instructions} earlier versions of instructions.")
        self.stdout.write(f"Would delete {retention.expired_accounts().distinct().count()} deactivated accounts.")
        self.stdout.write(f"Would delete {retention.expired_verdicts().count()} verdicts on deleted conversations.")
        self.stdout.write(f"Would delete {retention.expired_audit_entries()} audit entries.")
