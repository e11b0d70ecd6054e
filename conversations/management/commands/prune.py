"""Delete reasoning, conversations and deactivated accounts older than RETAIN_… says. Run it once a day."""

from django.core.management.base import BaseCommand, CommandParser

from conversations.review import retention


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *args, dry_run: bool, **options) -> None:
        if not dry_run:
            for sentence in retention.prune():
                self.stdout.write(sentence)
            return
        self.stdout.write(f"Reasoning of {retention.expired_reasoning().count()} messages would be deleted.")
        self.stdout.write(f"{retention.expired_conversations().count()} conversations would be deleted.")
        self.stdout.write(f"{retention.expired_accounts().distinct().count()} deactivated accounts would be deleted.")
