"""Import conversations for a person from a file of any size; see docs/export.md.

The file is an archive or an exported conversation of a site like this one, or the export of ChatGPT or Open WebUI.
"""

from collections import Counter
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.importing import Report, import_file
from conversations.models import User


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("file", type=Path)
        parser.add_argument("--preview", action="store_true", help="only say what would be imported")

    def handle(self, *args, username: str, file: Path, preview: bool, **options) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username}.")
        try:
            with file.open("rb") as opened:
                report = import_file(user=user, file=opened, preview=preview)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        self._print(report)
        if report.stopped:
            raise CommandError(report.stopped)

    def _print(self, report: Report) -> None:
        done = "To import" if report.preview else "Imported"
        self.stdout.write(
            f"{done}: {report.conversations} conversations, {report.messages} messages, {report.files} files."
        )
        self.stdout.write(f"Already here: {report.already_here}. Skipped: {report.skipped}.")
        # Titles, and the names of files after a colon, are content, which does not belong in the logs of commands.
        omitted: Counter[str] = Counter()
        for what, number in report.omitted.items():
            omitted[what.partition(":")[0]] += number
        for what, number in omitted.items():
            self.stdout.write(f"Left out, {what}: {number}.")
        for _, reason in report.reasons:
            self.stdout.write(f"Skipped a conversation: {reason}")
