"""The audit trail: rows that follow each other in a keyed chain, so that a change behind the site's back shows.

Each row's `mac` is HMAC-SHA256 over the row itself, its number and the `mac` of the row before. Whoever lacks the key
can therefore neither change a row nor make one; whoever has it can rewrite the trail from a row on, but not what the
log has kept of it: `record` logs number and mac of every row it adds.
"""

import hashlib
import hmac
import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Q
from django.utils import timezone

from conversations.models import Conversation, LegalHold, User
from conversations.review.models import AuditAction, AuditEntry, Case

logger = logging.getLogger(__name__)

BEGINNING = "0" * 64  # what the first row follows
SIGNED = [field.attname for field in AuditEntry._meta.concrete_fields if field.attname != "mac"]
LOCK = 0x617564697400  # of PostgreSQL's advisory locks: rows are added one after the other
MOVES = 200  # wrong rows that are tried in each other's places
HEAD = re.compile(r"audit head (\d+) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where. `user` is None for what happens outside the site, in a shell for example.

    `name` then says who decided, if that is known.
    """

    user: User | None = None
    address: str = ""
    name: str = ""

    @property
    def role(self) -> str:
        """Return what owners see instead of a name: the groups that allow this person to review."""
        if self.user is None:
            return ""
        groups = self.user.groups.filter(permissions__content_type__app_label="conversations").distinct()
        return ", ".join(sorted(groups.values_list("name", flat=True)))[:150] or "Reviewer"


def record(
    actor: Actor,
    *acts: AuditAction,
    case: Case | None = None,
    conversations: Iterable[Conversation] = (),
    message_id: int | None = None,
    **details: Any,
) -> None:
    """Add a row for each act and each conversation (one without any), in the caller's transaction or one of its own."""
    about = [(found.owner_id, found.pk) for found in conversations] or [(None, None)]
    role = actor.role
    with transaction.atomic():
        last = _last()
        rows = []
        for act in acts:
            for owner, conversation in about:
                row = AuditEntry(
                    number=last.number + 1 if last else 1,
                    at=timezone.now(),
                    act=act,
                    actor_id=actor.user.pk if actor.user else None,
                    actor_name=actor.user.username if actor.user else actor.name,
                    role=role,
                    address=actor.address,
                    case_id=case.pk if case else None,
                    reason=case.reason if case else "",
                    note=case.note if case else "",
                    owner_id=owner,
                    conversation_id=conversation,
                    message_id=message_id,
                    details=details,
                    previous=last.mac if last else BEGINNING,
                )
                row.mac = sign(row, settings.AUDIT_KEYS[0])
                rows.append(row)
                last = row
        AuditEntry.objects.bulk_create(rows)
        transaction.on_commit(lambda: logger.info("audit head %d %s", last.number, last.mac))


def _last() -> AuditEntry | None:
    """Return the last row, which nobody else can follow before this transaction ends.

    SQLite's transactions exclude each other from their beginning (IMMEDIATE); a row lock on PostgreSQL would need
    the right to UPDATE, which the site's own role does not have.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", [LOCK])
    return AuditEntry.objects.order_by("number").last()


def expired(before: datetime) -> int:
    """Return the number of the last row that may go (0: none): all up to it are older, and under no legal hold."""
    holds = LegalHold.objects.in_force()
    kept = Q(at__gte=before)
    kept |= Q(owner_id__in=holds.exclude(user=None).values("user"))
    kept |= Q(conversation_id__in=holds.exclude(conversation=None).values("conversation"))
    first = AuditEntry.objects.filter(kept).order_by("number").values_list("number", flat=True).first()
    if first is not None:
        return first - 1
    return AuditEntry.objects.aggregate(last=Max("number"))["last"] or 0


def trim(before: datetime) -> int:
    """Delete the rows that `expired` means, as the owner of the table; return how many.

    A row that stays says up to which one, and what mac that had: without it their absence is told by `verify`. Raises
    `ProgrammingError` for a role that owns nothing.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        _last()
        through = AuditEntry.objects.filter(number=expired(before)).first()
        if through is None:
            return 0
        record(Actor(), AuditAction.TRIMMED, through=through.number, mac=through.mac)
        rows = AuditEntry.objects.filter(number__lte=through.number)
        with _without_trigger(cursor):
            deleted, _ = rows.delete()
        return deleted


@contextmanager
def _without_trigger(cursor: Any) -> Iterator[None]:
    """Let rows be deleted meanwhile: on PostgreSQL by the table's owner alone, on SQLite by whoever writes the file."""
    if connection.vendor == "postgresql":
        cursor.execute("alter table conversations_auditentry disable trigger audit_refuses_changes")
        yield
        cursor.execute("alter table conversations_auditentry enable trigger audit_refuses_changes")
    else:
        cursor.execute("select sql from sqlite_master where name = 'audit_refuses_delete'")
        [trigger] = cursor.fetchone()
        cursor.execute("drop trigger audit_refuses_delete")
        yield
        cursor.execute(trigger)


def sign(row: AuditEntry, key: str) -> str:
    """Return the hexadecimal HMAC-SHA256 of all the row's columns but the mac itself."""
    values = {name: getattr(row, name) for name in SIGNED}
    values["at"] = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def heads(lines: Iterable[str]) -> dict[int, str]:
    """Return what log lines of any form kept: the mac of each row they name."""
    return {int(number): mac for line in lines for number, mac in HEAD.findall(line)}


def verify(rows: Iterable[AuditEntry], logged: dict[int, str]) -> Iterator[str]:
    """Yield a sentence for everything that is wrong with the trail, naming the row; nothing if it is whole."""
    number, previous = 0, BEGINNING
    wrong, trimmed, begins = [], set(), None
    for row in rows:
        if number == 0 and row.number > 1:
            begins = row.number - 1, row.previous  # whether the rows before it were trimmed is told further on
        elif row.number > number + 1:
            yield f"{_rows(range(number + 1, row.number))} removed."
        elif row.previous != previous:
            yield f"Row {row.number} does not follow row {number}: one of them was replaced or moved."
        genuine = _is_signed(row)
        if not genuine:
            wrong.append(row)
        elif logged.get(row.number, row.mac) != row.mac:
            yield f"Row {row.number} was rewritten with the key: the log has a different mac for it."
        if genuine and row.act == AuditAction.TRIMMED:
            trimmed.add((row.details["through"], row.details["mac"]))
        number, previous = row.number, row.mac
    if begins and begins not in trimmed:
        yield f"{_rows(range(1, begins[0] + 1))} removed."
    for row in wrong:
        moved = _moved_from(row, {other.number + shift for other in wrong[:MOVES] for shift in (0, 1)})
        yield f"Row {row.number} was {f'moved here from row {moved}' if moved else 'edited or forged'}."
    if (last := max(logged, default=0)) > number:
        yield f"{_rows(range(number + 1, last + 1))} removed from the end: the log has row {last}."


def _is_signed(row: AuditEntry) -> bool:
    return any(hmac.compare_digest(sign(row, key), row.mac) for key in settings.AUDIT_KEYS)


def _moved_from(row: AuditEntry, places: Iterable[int]) -> int | None:
    """Return the place where a row that is wrong in its own would be right."""
    here = row.number
    try:
        for row.number in places:
            if _is_signed(row):
                return row.number
    finally:
        row.number = here
    return None


def _rows(numbers: range) -> str:
    return f"Row {numbers[0]} was" if len(numbers) == 1 else f"Rows {numbers[0]} to {numbers[-1]} were"
