"""The audit trail: rows chained by a keyed hash, so that changes made outside the site can be detected.

The `mac` of each row is an HMAC-SHA256 over the row, its number and the `mac` of the row before. Without the key nobody
can change or add a row unnoticed. Someone with the key can rewrite the trail from any row on, but not the log: `record`
logs number and mac of every row it adds.
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
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Max, Q
from django.utils import timezone

from conversations.models import Conversation, LegalHold, User
from conversations.review.models import AuditAction, AuditEntry, Case

logger = logging.getLogger(__name__)

NO_MAC = "0" * 64  # `previous` of the first row
SIGNED_FIELDS = [field.attname for field in AuditEntry._meta.concrete_fields if field.attname != "mac"]
ADVISORY_LOCK = 0x617564697400  # its key on PostgreSQL, where it makes writers add rows one after the other
MAX_MOVED = 200  # invalid rows whose numbers are tried for other invalid rows
HEAD = re.compile(r"audit head ([0-9]{1,19}) ([0-9a-f]{64})")
# A whole line of this module's logger, as `LOG_FORMAT=text` writes it. A part of a line proves nothing: other loggers
# write what clients send, such as paths.
TEXT_LINE = re.compile(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}} [A-Z]+ {re.escape(__name__)}: (.*)")


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in person, and the IP address of the request."""

    user: User
    address: str = ""

    @property
    def name(self) -> str:
        return self.user.username

    @property
    def role(self) -> str:
        """Return what owners see instead of a name: the groups that allow this person to review."""
        groups = self.user.groups.filter(permissions__content_type__app_label="conversations").distinct()
        return ", ".join(sorted(groups.values_list("name", flat=True)))[:150] or "Reviewer"


@dataclass(frozen=True, slots=True)
class System:
    """A change without a signed-in person: by a command, in a shell, by a directory. `name` says by which, if known."""

    name: str = ""
    address: str = ""
    user = None
    role = ""


def record(
    actor: Actor | System,
    *actions: AuditAction,
    case: Case | None = None,
    conversations: Iterable[Conversation] = (),
    message_id: int | None = None,
    **details: Any,
) -> None:
    """Add a row for each action and each conversation (one row per action without any), in one transaction."""
    subjects: list[tuple[int | None, UUID | None]] = [(about.owner_id, about.pk) for about in conversations]
    role, rows = actor.role, []
    with transaction.atomic():
        last = _lock_last()
        number, mac = (last.number, last.mac) if last else (0, NO_MAC)
        for action in actions:
            for owner_id, conversation_id in subjects or [(None, None)]:
                row = AuditEntry(
                    number=number + 1,
                    at=timezone.now(),
                    act=action,
                    actor_id=actor.user.pk if actor.user else None,
                    actor_name=actor.name,
                    role=role,
                    address=actor.address,
                    case_id=case.pk if case else None,
                    reason=case.reason if case else "",
                    note=case.note if case else "",
                    owner_id=owner_id,
                    conversation_id=conversation_id,
                    message_id=message_id,
                    details=details,
                    previous=mac,
                )
                row.mac = sign(row, settings.AUDIT_KEYS[0])
                rows.append(row)
                number, mac = row.number, row.mac
        AuditEntry.objects.bulk_create(rows)
        transaction.on_commit(lambda: logger.info("audit head %d %s", number, mac))


def _lock_last() -> AuditEntry | None:
    """Return the last row; nobody else can add one before this transaction ends.

    On SQLite, transactions exclude each other from the start (IMMEDIATE). On PostgreSQL, a row lock would need the
    right to UPDATE, which the site's own role does not have.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
    return AuditEntry.objects.order_by("number").last()


def last_expired(before: datetime) -> int:
    """Return the number of the last row up to which all are older than `before` and under no legal hold (0: none)."""
    holds = LegalHold.objects.in_force()
    kept = Q(at__gte=before)
    kept |= Q(owner_id__in=holds.exclude(user=None).values("user"))
    kept |= Q(conversation_id__in=holds.exclude(conversation=None).values("conversation"))
    first_kept = AuditEntry.objects.filter(kept).order_by("number").values_list("number", flat=True).first()
    if first_kept is not None:
        return first_kept - 1
    return AuditEntry.objects.aggregate(last=Max("number"))["last"] or 0


def trim(before: datetime) -> int:
    """Delete the rows up to `last_expired`, as the owner of the table; return how many.

    Add a row with number and mac of the last deleted row, so that `verify` accepts that they are missing. Raises
    `ProgrammingError` for a role that does not own the table.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        _lock_last()
        through = AuditEntry.objects.filter(number=last_expired(before)).first()
        if through is None:
            return 0
        record(System(), AuditAction.TRIMMED, through=through.number, mac=through.mac)
        with _without_trigger(cursor):
            deleted, _ = AuditEntry.objects.filter(number__lte=through.number).delete()
        return deleted


@contextmanager
def _without_trigger(cursor: CursorWrapper) -> Iterator[None]:
    """Allow deletions inside the block. PostgreSQL allows this to the table's owner alone."""
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
    """Return the hexadecimal HMAC-SHA256 of all columns of the row but `mac`."""
    values = {name: getattr(row, name) for name in SIGNED_FIELDS}
    values["at"] = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def logged_heads(lines: Iterable[str]) -> dict[int, list[str]]:
    """Return the macs that these log lines have for each row, by number: each once, in the order of the lines.

    Only whole lines of this module's logger count, in either `LOG_FORMAT`. More than one mac for a row is a conflict,
    which `verify` reports.
    """
    heads: dict[int, list[str]] = {}
    for line in lines:
        if head := HEAD.fullmatch(_own_message(line.rstrip("\r\n"))):
            macs = heads.setdefault(int(head[1]), [])
            if head[2] not in macs:
                macs.append(head[2])
    return heads


def _own_message(line: str) -> str:
    """Return the message of a log line that this module's logger wrote; "" for any other line."""
    if text := TEXT_LINE.fullmatch(line):
        return text[1]
    if not line.startswith("{"):
        return ""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    return str(record.get("message", "")) if record.get("logger") == __name__ else ""


def verify(rows: Iterable[AuditEntry], logged: dict[int, list[str]]) -> Iterator[str]:
    """Yield a sentence for each fault in the trail, with the row's number; nothing if the trail is intact.

    `rows` are all rows by number, `logged` what `logged_heads` returns. Of several macs for a row the first counts: it
    was logged before anyone could know that the row would have to be rewritten.
    """
    for conflict, macs in sorted(logged.items()):
        if len(macs) > 1:
            yield f"Row {conflict} has {len(macs)} different macs in the log, so part of the log is wrong."
    number, mac = 0, NO_MAC
    missing_start: tuple[int, str] | None = None  # number and mac of the last row that is missing at the start
    invalid, trimmed = [], set()
    for row in rows:
        if number == 0 and row.number > 1:
            missing_start = row.number - 1, row.previous
        elif row.number > number + 1:
            yield f"{_rows(number + 1, row.number - 1)} removed."
        elif row.previous != mac:
            yield f"Row {row.number} does not follow row {number}: one of them was replaced or moved."
        if not _is_valid(row):
            invalid.append(row)
        else:
            if logged.get(row.number, [row.mac])[0] != row.mac:
                yield f"Row {row.number} was rewritten with the key: the log has a different mac for it."
            if row.act == AuditAction.TRIMMED:
                trimmed.add((row.details["through"], row.details["mac"]))
        number, mac = row.number, row.mac
    if missing_start and missing_start not in trimmed:
        yield f"{_rows(1, missing_start[0])} removed."
    # A removed row moves those after it by one; rows that change places are all invalid.
    candidates = {row.number + shift for row in invalid[:MAX_MOVED] for shift in (0, 1)}
    for row in invalid:
        moved_from = _valid_number(row, candidates)
        yield f"Row {row.number} was {f'moved here from row {moved_from}' if moved_from else 'edited or forged'}."
    if (last := max(logged, default=0)) > number:
        yield f"{_rows(number + 1, last)} removed from the end: the log has row {last}."


def _is_valid(row: AuditEntry) -> bool:
    return any(hmac.compare_digest(sign(row, key), row.mac) for key in settings.AUDIT_KEYS)


def _valid_number(row: AuditEntry, candidates: Iterable[int]) -> int | None:
    """Return the number with which an invalid row would be valid, if it is one of these."""
    actual = row.number
    try:
        for candidate in candidates:
            row.number = candidate
            if _is_valid(row):
                return candidate
    finally:
        row.number = actual
    return None


def _rows(first: int, last: int) -> str:
    return f"Row {first} was" if first == last else f"Rows {first} to {last} were"
