"""The audit trail on SQLite: rows can only be added, and tampering by the owner of the file is detected."""

import logging.config
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from conversations.models import Conversation, LegalHold, User
from conversations.review import audit, cases
from conversations.review.models import AuditAction, AuditEntry
from tests.factories import person, queued

pytestmark = pytest.mark.django_db
_configurator = logging.config.DictConfigurator(settings.LOGGING)
FORMATTERS = {
    name: _configurator.configure_formatter(dict(formatter))
    for name, formatter in settings.LOGGING["formatters"].items()
}
OTHER_KEY = "a key that the site does not have"
ROWS = 5


@pytest.fixture
def log(django_capture_on_commit_callbacks: Callable, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> Path:
    """Write five rows; return the site's log of them."""
    reviewer, conversation = person("reviewer"), queued(person("owner"), "Why?").conversation
    actor = audit.Actor(reviewer, "192.0.2.7")
    with caplog.at_level("INFO"), django_capture_on_commit_callbacks(execute=True):
        case = cases.open_case(actor=actor, reason="Safety", note="Ticket 7")
        for _ in range(ROWS - 1):
            cases.record_conversation_read(actor=actor, case=case, conversation=conversation)
    log = tmp_path / "site.log"
    log.write_text("".join(f"{FORMATTERS['text'].format(record)}\n" for record in caplog.records))
    return log


@contextmanager
def as_the_owner() -> Iterator[Callable[[str], None]]:
    """Without the triggers, which anyone who can write to the file can drop."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select name, sql from sqlite_master where type = 'trigger' and tbl_name = 'conversations_auditentry'"
        )
        triggers = cursor.fetchall()
        assert len(triggers) == 3
        for name, _ in triggers:
            cursor.execute(f"drop trigger {name}")
        yield cursor.execute
        for _, statement in triggers:
            cursor.execute(statement)


def faults(log: Iterable[str] = ()) -> list[str]:
    return list(audit.verify(AuditEntry.objects.order_by("number"), audit.logged_heads(log)))


def test_a_row_has_actor_action_reason_note_owner_conversation_and_address(log: Path):
    row = AuditEntry.objects.get(number=2)
    assert (row.actor_name, row.act, row.reason, row.note, row.address) == (
        "reviewer",
        AuditAction.OPENED,
        "Safety",
        "Ticket 7",
        "192.0.2.7",
    )
    assert row.owner_id
    assert row.conversation_id
    assert row.previous == AuditEntry.objects.get(number=1).mac


def test_an_intact_trail_verifies_with_its_log(log: Path, capsys: pytest.CaptureFixture):
    call_command("verify_audit", "--log", str(log))
    assert "intact: 5 rows, 5 of them checked against the log" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        "update conversations_auditentry set reason = 'Quality' where number = 2",
        "delete from conversations_auditentry where number = 2",
        "delete from conversations_auditentry",
        "insert or replace into conversations_auditentry select * from conversations_auditentry where number = 2",
        "update or replace conversations_auditentry set number = 1 where number = 2",
        "insert into conversations_auditentry select 0, at, act, actor_id, actor_name, role, address, case_id, reason,"
        " note, owner_id, conversation_id, message_id, details, previous, mac"
        " from conversations_auditentry where number = 2",
    ],
)
def test_the_database_refuses_every_change(log: Path, change: str):
    before = list(AuditEntry.objects.order_by("number").values_list())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert list(AuditEntry.objects.order_by("number").values_list()) == before


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["update conversations_auditentry set reason = 'Quality' where number = 3"], ["Row 3 was edited or forged."]),
        (
            ["update conversations_auditentry set at = '2020-01-01 00:00:00' where number = 3"],
            ["Row 3 was edited or forged."],
        ),
        (["delete from conversations_auditentry where number in (2, 3)"], ["Rows 2 to 3 were removed."]),
        (["delete from conversations_auditentry where number = 1"], ["Row 1 was removed."]),
        (
            [
                "delete from conversations_auditentry where number = 3",
                "update conversations_auditentry set number = number - 1 where number > 3",
            ],
            ["Row 3 does not follow row 2: one of them was replaced or moved."]
            + [f"Row {n} was moved here from row {n + 1}." for n in (3, 4)],
        ),
        (
            [
                "update conversations_auditentry set number = 99 where number = 2",
                "update conversations_auditentry set number = 2 where number = 3",
                "update conversations_auditentry set number = 3 where number = 99",
            ],
            [
                "Row 2 does not follow row 1: one of them was replaced or moved.",
                "Row 3 does not follow row 2: one of them was replaced or moved.",
                "Row 4 does not follow row 3: one of them was replaced or moved.",
                "Row 2 was moved here from row 3.",
                "Row 3 was moved here from row 2.",
            ],
        ),
    ],
    ids=["edited", "backdated", "removed", "the first removed", "removed and renumbered", "reordered"],
)
def test_tampering_without_the_key_is_detected_without_a_log(log: Path, changes: list[str], expected: list[str]):
    assert faults() == []
    with as_the_owner() as execute:
        for change in changes:
            execute(change)
    assert faults() == expected


def test_rows_removed_from_the_end_are_detected_only_with_the_log(log: Path, capsys: pytest.CaptureFixture):
    with as_the_owner() as execute:
        execute("delete from conversations_auditentry where number > 3")
    assert faults() == []
    with pytest.raises(SystemExit) as exited:
        call_command("verify_audit", "--log", str(log))
    assert exited.value.code == 1
    assert capsys.readouterr().err == "Rows 4 to 5 were removed from the end: the log has row 5.\n"


def rewrite(key: str) -> None:
    """Change row 3, and sign it and all rows after it with `key`."""
    previous = AuditEntry.objects.get(number=2).mac
    with as_the_owner() as execute:
        for row in AuditEntry.objects.filter(number__gte=3).order_by("number"):
            row.reason, row.previous = "Quality", previous
            row.mac = previous = audit.sign(row, key)
            execute(
                "update conversations_auditentry set reason = %s, previous = %s, mac = %s where number = %s",
                [row.reason, row.previous, row.mac, row.number],
            )


def test_rows_rewritten_without_the_key_are_detected(log: Path):
    rewrite(OTHER_KEY)
    assert faults() == [f"Row {n} was edited or forged." for n in (3, 4, 5)]


def test_rows_rewritten_with_the_key_are_detected_with_the_log(log: Path):
    rewrite(audit.settings.AUDIT_KEYS[0])
    assert faults() == []
    assert faults(log.read_text().splitlines()) == [
        f"Row {n} was rewritten with the key: the log has a different mac for it." for n in (3, 4, 5)
    ]


FORGED = "f" * 64
FORGERIES = [
    # A request with this Host, and a POST to this path without a CSRF token, as the log has them.
    ("django.security.DisallowedHost", "Invalid HTTP_HOST header: 'audit head {} {}'. You may need to add it."),
    ("django.security.csrf", "Forbidden (CSRF cookie not set.): /admin/audit head {} {}"),
    ("conversations.review.auditor", "audit head {} {}"),
    ("django.request", "/\n2026-11-25 12:00:00,000 INFO conversations.review.audit: audit head {} {}"),
    ("django.request", '/\r{{"logger": "conversations.review.audit", "message": "audit head {} {}"}}'),
    ("django.request", '/\n{{"logger": "conversations.review.audit", "message": "audit head {} {}"}}\n'),
    ("conversations.review.audit", "audit head {} {} and more"),
]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_clients_can_write_to_the_log_is_no_head(
    log: Path, django_capture_on_commit_callbacks: Callable, caplog: pytest.LogCaptureFixture, log_format: str
):
    caplog.clear()
    with caplog.at_level("INFO"):
        for number in (3, 999):
            for logger, message in FORGERIES:
                logging.getLogger(logger).info(message.format(number, FORGED))
        with django_capture_on_commit_callbacks(execute=True):
            audit.record(audit.System(), AuditAction.SEARCHED)
    log.write_text("".join(f"{FORMATTERS[log_format].format(record)}\n" for record in caplog.records))
    with log.open() as lines:
        assert audit.logged_heads(lines) == {ROWS + 1: [AuditEntry.objects.get(number=ROWS + 1).mac]}


def test_the_first_logged_head_of_a_row_counts_and_another_is_reported(log: Path, capsys: pytest.CaptureFixture):
    before = log.read_text()
    rewrite(audit.settings.AUDIT_KEYS[0])
    later = log.with_name("later.log")
    rows = AuditEntry.objects.filter(number__gte=3).order_by("number")
    start = "2026-11-26 12:00:00,000 INFO conversations.review.audit: audit head"
    later.write_text(before + "".join(f"{start} {row.number} {row.mac}\n" for row in rows))
    with pytest.raises(SystemExit):
        call_command("verify_audit", "--log", str(log), "--log", str(later))
    reported = capsys.readouterr().err.splitlines()
    assert reported == [f"Row {n} has 2 different macs in the log, so part of the log is wrong." for n in (3, 4, 5)] + [
        f"Row {n} was rewritten with the key: the log has a different mac for it." for n in (3, 4, 5)
    ]


def test_rows_signed_with_an_earlier_key_verify(log: Path):
    keys = audit.settings.AUDIT_KEYS
    with override_settings(AUDIT_KEYS=[OTHER_KEY, *keys]):
        audit.record(audit.System(), AuditAction.PERMISSIONS_CHANGED)
        assert faults() == []
    with override_settings(AUDIT_KEYS=[OTHER_KEY]):
        assert len(faults()) == ROWS


def test_deleting_users_does_not_delete_rows(log: Path):
    before = list(AuditEntry.objects.order_by("number").values_list())
    User.objects.filter(username__in=["owner", "reviewer"]).delete()
    assert not Conversation.objects.exists()
    assert list(AuditEntry.objects.order_by("number").values_list()) == before


def test_a_trimmed_trail_verifies(log: Path):
    before = AuditEntry.objects.get(number=4).at
    assert audit.last_expired(before) == 3
    assert audit.trim(before) == 3
    numbers = list(AuditEntry.objects.order_by("number").values_list("number", "act"))
    assert numbers == [(4, AuditAction.OPENED), (5, AuditAction.OPENED), (6, AuditAction.TRIMMED)]
    assert faults(log.read_text().splitlines()) == []
    # Only the rows that the last row names may be missing.
    with as_the_owner() as execute:
        execute("delete from conversations_auditentry where number = 4")
    assert faults() == ["Rows 1 to 4 were removed."]


def test_a_trail_can_be_trimmed_again_and_keeps_its_triggers(log: Path):
    audit.trim(AuditEntry.objects.get(number=3).at)
    assert audit.trim(AuditEntry.objects.get(number=5).at) == 2
    assert faults() == []
    with pytest.raises(DatabaseError, match="DELETE refused"), transaction.atomic():
        AuditEntry.objects.all().delete()


def test_rows_under_a_legal_hold_and_all_rows_after_them_are_not_trimmed(log: Path):
    owner = User.objects.get(username="owner")
    LegalHold.objects.create(user=owner, reason="A lawsuit")
    assert audit.trim(timezone.now()) == 1  # the first row, which has no owner
    assert AuditEntry.objects.filter(act=AuditAction.OPENED).count() == ROWS - 1
    assert faults() == []
