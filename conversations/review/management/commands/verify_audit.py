"""Check the audit trail: exit with 1 and name each row that was edited, removed, reordered, cut off or recomputed.

The trail alone shows what was changed by somebody without the key. To notice rows cut off at its end, or rewritten by
somebody with the key, give the site's log (`--log`, `-` reads it from a pipe): it keeps number and mac of every row.
"""

import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandParser

from conversations.review import audit
from conversations.review.models import AuditEntry


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--log", action="append", default=[], metavar="FILE", help="a log of the site; repeatable")

    def handle(self, *args, log: list[str], **options) -> None:
        logged: dict[int, str] = {}
        for name in log:
            with sys.stdin if name == "-" else Path(name).open(errors="replace") as lines:
                logged |= audit.heads(lines)
        rows = AuditEntry.objects.order_by("number")
        found = 0
        for sentence in audit.verify(rows.iterator(), logged):
            found += 1
            self.stderr.write(sentence)
        if found:
            sys.exit(1)
        against = f", {len(logged)} of them against the log" if log else "; without --log a cut-off end does not show"
        self.stdout.write(f"The audit trail is whole: {rows.count()} rows{against}.")
