"""Verify the audit trail. Print each row that was edited, removed, moved or forged, and exit with 1 if there is any.

The trail alone shows changes by anyone without the key. To detect rows removed from the end, or rewritten by someone
who has the key, give the site's log (`--log FILE`; `-` reads standard input), which holds number and mac of every row.
Give the lines as the site wrote them, without prefixes of a log collector, and the oldest file first.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import BaseCommand, CommandParser

from conversations.review import audit
from conversations.review.models import AuditEntry


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--log", action="append", default=[], metavar="FILE", help="a log of the site (repeatable)")

    def handle(self, *args, log: list[str], **options) -> None:
        logged = audit.logged_heads(line for name in log for line in read_lines(name))
        rows = AuditEntry.objects.order_by("number")
        is_intact = True
        for fault in audit.verify(rows.iterator(), logged):
            is_intact = False
            self.stderr.write(fault)
        if not is_intact:
            sys.exit(1)
        checked = f"{len(logged)} of them checked against the log" if log else "none checked against a log (see --log)"
        self.stdout.write(f"The audit trail is intact: {rows.count()} rows, {checked}.")


def read_lines(name: str) -> Iterator[str]:
    """Yield the lines of a file, or of standard input for "-"."""
    with sys.stdin if name == "-" else Path(name).open(errors="replace") as lines:
        yield from lines
