"""Check that the storage has all attached files of the database, for instance after a restore.

With --adopt, first mark the storage as this site's: when the site has moved to another one, or has lost its own.
"""

from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations import storage
from conversations.models import FileState, Site, StoredFile


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--adopt", action="store_true", help="make this storage the site's")

    def handle(self, *args, adopt: bool, **options) -> None:
        try:
            if adopt:
                storage.mark_storage(Site.objects.get())
            storage.claim_storage()
            self._check()
        except storage.StorageError as error:
            raise CommandError(f"STORAGE_URL: the site cannot use this storage: {error}.") from error

    def _check(self) -> None:
        number = missing = 0
        for stored in StoredFile.objects.filter(state=FileState.STORED).defer("text").iterator():
            number += 1
            is_complete = storage.file_size(stored.file_name) == stored.size
            if not is_complete or (stored.picture_type and not storage.file_size(stored.picture_name)):
                missing += 1
                self.stderr.write(f"{stored.file_name} is missing or damaged (owner: user {stored.owner_id}).")
        self.stdout.write(f"{number - missing} of {number} files are complete.")
        if missing:
            raise CommandError("Files are missing. Restore them, or tell their owners: questions remain without them.")
