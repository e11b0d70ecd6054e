"""The audit trail on SQLite: rows are added only, and each kind of tampering done as the owner is named."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from conversations.models import LegalHold, User
from conversations.review import audit, cases
from conversations.review.models import AuditAction, AuditEntry
from tests.factories import person, queued

pytestmark = pytest.mark.django_db
OTHER_KEY = "a key of somebody who is not this site"
ROWS = 5


@pytest.fixture
def log(django_capture_on_commit_callbacks: Callable, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> Path:
    """Write a trail of five rows; return the log that the site kept of it."""
    reviewer, conversation = person("reviewer"), queued(person("owner"), "Why?").conversation
    actor = audit.Actor(reviewer, "192.0.2.7")
    with caplog.at_level("INFO"), django_capture_on_commit_callbacks(execute=True):
        case = cases.begin(actor=actor, reason="Safety", note="Ticket 7")
        for _ in range(ROWS - 1):
            cases.open_conversation(actor=actor, case=case, conversation=conversation)
    log = tmp_path / "site.log"
    log.write_text("\n".join(f"2026-11-25 INFO conversations: {message}" for message in caplog.messages))
    return log


@contextmanager
def as_the_owner() -> Iterator[Callable[[str], None]]:
    """Do as somebody can who may write the database file: without the triggers."""
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


def complaints(log: Iterable[str] = ()) -> list[str]:
    return list(audit.verify(AuditEntry.objects.order_by("number"), audit.heads(log)))


def test_a_row_says_who_what_whose_when_why_and_from_where(log: Path):
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


def test_a_whole_trail_verifies_with_its_log(log: Path, capsys: pytest.CaptureFixture):
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
    ("changes", "said"),
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
def test_tampering_without_the_key_is_named_without_a_log(log: Path, changes: list[str], said: list[str]):
    assert complaints() == []
    with as_the_owner() as execute:
        for change in changes:
            execute(change)
    assert complaints() == said


def test_a_cut_off_end_shows_against_the_log_alone(log: Path, capsys: pytest.CaptureFixture):
    with as_the_owner() as execute:
        execute("delete from conversations_auditentry where number > 3")
    assert complaints() == []
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit", "--log", str(log))
    assert ended.value.code == 1
    assert capsys.readouterr().err == "Rows 4 to 5 were removed from the end: the log has row 5.\n"


def recompute(key: str) -> None:
    """Rewrite row 3 and sign it and all that follow it anew."""
    previous = AuditEntry.objects.get(number=2).mac
    with as_the_owner() as execute:
        for row in AuditEntry.objects.filter(number__gte=3).order_by("number"):
            row.reason, row.previous = "Quality", previous
            row.mac = previous = audit.sign(row, key)
            execute(
                "update conversations_auditentry set reason = %s, previous = %s, mac = %s where number = %s",
                [row.reason, row.previous, row.mac, row.number],
            )


def test_rows_recomputed_without_the_key_are_named(log: Path):
    recompute(OTHER_KEY)
    assert complaints() == [f"Row {n} was edited or forged." for n in (3, 4, 5)]


def test_rows_recomputed_with_the_key_are_named_against_the_log(log: Path):
    recompute(audit.settings.AUDIT_KEYS[0])
    assert complaints() == []
    assert complaints(log.read_text().splitlines()) == [
        f"Row {n} was rewritten with the key: the log has a different mac for it." for n in (3, 4, 5)
    ]


def test_an_earlier_key_still_verifies(log: Path):
    keys = audit.settings.AUDIT_KEYS
    with override_settings(AUDIT_KEYS=[OTHER_KEY, *keys]):
        audit.record(audit.Actor(), AuditAction.GRANTED)
        assert complaints() == []
    with override_settings(AUDIT_KEYS=[OTHER_KEY]):
        assert len(complaints()) == ROWS


def test_deleting_people_and_conversations_reaches_no_row(log: Path):
    before = list(AuditEntry.objects.order_by("number").values_list())
    for row in AuditEntry.objects.exclude(owner_id=None):
        person_model = type(person("somebody" + str(row.number)))
        person_model.objects.filter(pk__in=[row.owner_id, row.actor_id]).delete()
    assert list(AuditEntry.objects.order_by("number").values_list())[: len(before)] == before


def test_trimmed_rows_are_accounted_for_by_a_row_that_stays(log: Path):
    before = AuditEntry.objects.get(number=4).at
    assert audit.expired(before) == 3
    assert audit.trim(before) == 3
    numbers = list(AuditEntry.objects.order_by("number").values_list("number", "act"))
    assert numbers == [(4, AuditAction.OPENED), (5, AuditAction.OPENED), (6, AuditAction.TRIMMED)]
    assert complaints(log.read_text().splitlines()) == []
    # More than that row says, or that row itself, may not be missing.
    with as_the_owner() as execute:
        execute("delete from conversations_auditentry where number = 4")
    assert complaints() == ["Rows 1 to 4 were removed."]


def test_a_trim_can_be_followed_by_another_and_the_triggers_stand_afterwards(log: Path):
    audit.trim(AuditEntry.objects.get(number=3).at)
    assert audit.trim(AuditEntry.objects.get(number=5).at) == 2
    assert complaints() == []
    with pytest.raises(DatabaseError, match="DELETE refused"), transaction.atomic():
        AuditEntry.objects.all().delete()


def test_what_is_under_a_legal_hold_is_not_trimmed_and_nothing_behind_it(log: Path):
    owner = User.objects.get(username="owner")
    LegalHold.objects.create(user=owner, reason="A lawsuit")
    assert audit.trim(timezone.now()) == 1  # the reason, which is about nobody
    assert AuditEntry.objects.filter(act=AuditAction.OPENED).count() == ROWS - 1
    assert complaints() == []
