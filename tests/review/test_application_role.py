"""With a PostgreSQL role of its own, the site works and can only add to the audit trail."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.endpoint import Endpoint
from tests.services import MIGRATED, PostgreSQL
from tests.site import Person, Site, manage

pytestmark = pytest.mark.postgresql
WRITE_ROWS = """
from conversations.review.models import AuditAction
from conversations.review import audit
for _ in range(3):
    audit.record(audit.System(), AuditAction.PERMISSIONS_CHANGED, change="given")
"""
MOVE = "update conversations_auditentry set number = {} where number = {};"


@pytest.fixture(scope="module")
def template(postgresql: PostgreSQL) -> str:
    """The URL of a database with three audit entries, written by the application's role."""
    url = postgresql.create_database(MIGRATED)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create role application login")
    granted = manage("grant_application_role", "application", DATABASE_URL=url)
    assert granted.returncode == 0, granted.stderr
    written = manage("shell", "--no-imports", "--command", WRITE_ROWS, DATABASE_URL=as_application(url))
    assert written.returncode == 0, written.stderr
    verified = manage("verify_audit", DATABASE_URL=as_application(url))
    assert verified.returncode == 0, verified.stderr
    return url


@pytest.fixture
def database(template: str, postgresql: PostgreSQL) -> str:
    """The URL of a copy of that database, for its owner."""
    return postgresql.create_database(template=template.rsplit("/", 1)[1])


@pytest.fixture
def url(database: str) -> str:
    """The URL of the copy, for the application's role."""
    return as_application(database)


def as_application(url: str) -> str:
    return url.replace("site@", "application@")


@pytest.mark.parametrize(
    "statement",
    [
        "update conversations_auditentry set reason = 'Quality'",
        "delete from conversations_auditentry",
        "truncate conversations_auditentry",
        "alter table conversations_auditentry disable trigger all",
        "alter table conversations_auditentry disable trigger audit_refuses_changes",
        "drop trigger audit_refuses_changes on conversations_auditentry",
        "create or replace function conversations_audit_refuse() returns trigger language plpgsql"
        " as 'begin return new; end'",
        "drop table conversations_auditentry",
        "set session_replication_role = replica",
        "insert into conversations_auditentry select * from conversations_auditentry"
        " on conflict (number) do update set note = ''",
        "insert into conversations_auditentry select * from conversations_auditentry where number = 1",
    ],
)
def test_the_application_can_only_add_rows(url: str, statement: str):
    with psycopg.connect(url) as application:
        before = application.execute("select * from conversations_auditentry order by number").fetchall()
        assert len(before) == 3
        with pytest.raises(InsufficientPrivilege), application.transaction():
            application.execute(statement)
        assert application.execute("select * from conversations_auditentry order by number").fetchall() == before


@pytest.mark.parametrize(
    "statement",
    [
        "update conversations_auditentry set reason = ''",
        "delete from conversations_auditentry",
        "truncate conversations_auditentry",
    ],
)
def test_the_triggers_refuse_the_owner_as_well(database: str, statement: str):
    with psycopg.connect(database) as owner, pytest.raises(InsufficientPrivilege, match="append-only"):
        owner.execute(statement)


@pytest.mark.parametrize(
    ("tampering", "faults"),
    [
        ("update conversations_auditentry set reason = 'Quality' where number = 2", ["Row 2 was edited or forged."]),
        ("delete from conversations_auditentry where number = 2", ["Row 2 was removed."]),
        ("truncate conversations_auditentry", ["Rows 1 to 3 were removed from the end: the log has row 3."]),
        (
            MOVE.format(9, 2) + MOVE.format(2, 3) + MOVE.format(3, 9),
            [
                "Row 2 does not follow row 1: one of them was replaced or moved.",
                "Row 3 does not follow row 2: one of them was replaced or moved.",
                "Row 2 was moved here from row 3.",
                "Row 3 was moved here from row 2.",
            ],
        ),
    ],
    ids=["edited", "removed", "truncated", "reordered"],
)
def test_tampering_by_the_owner_is_detected(url: str, database: str, tmp_path: Path, tampering: str, faults: list[str]):
    with psycopg.connect(database) as owner:
        [(mac,)] = owner.execute("select mac from conversations_auditentry where number = 3").fetchall()
        line = f"2026-11-25 12:00:00,000 INFO conversations.review.audit: audit head 3 {mac}\n"
        (tmp_path / "log").write_text(line)
        owner.execute("alter table conversations_auditentry disable trigger all")
        owner.execute(tampering)
        owner.execute("alter table conversations_auditentry enable trigger all")
    verified = manage("verify_audit", "--log", str(tmp_path / "log"), DATABASE_URL=url)
    assert verified.returncode == 1
    # Django may print warnings of its system checks before them.
    assert [line for line in verified.stderr.splitlines() if line.startswith("Row")] == faults


def test_the_site_runs_with_that_role(
    url: str, make_site: Callable[..., Site], join: Callable[..., Person], endpoint: Endpoint
):
    site = make_site(url)
    person = join(site)
    conversation = person.ask("Why?")
    assert [status for status, *_ in person.await_end(conversation)] == ["complete"]
    assert person.http.get("/readyz").status_code == 200
    assert person.post(f"{conversation}delete/").status_code == 302


AGE_ROWS = """
alter table conversations_auditentry disable trigger all;
update conversations_auditentry set at = at - interval '3 days' where number < 3;
alter table conversations_auditentry enable trigger all;
"""


def test_only_the_owner_deletes_expired_rows(url: str, database: str):
    with psycopg.connect(database) as owner:
        owner.execute(AGE_ROWS)
    refused = manage("prune", DATABASE_URL=url, RETAIN_AUDIT_DAYS=1)
    assert refused.returncode == 1
    assert "Only the owner of the tables can delete audit entries" in refused.stderr
    assert "Traceback" not in refused.stderr
    pruned = manage("prune", DATABASE_URL=database, RETAIN_AUDIT_DAYS=1)
    assert "Deleted 2 audit entries" in pruned.stdout, pruned.stderr
    with psycopg.connect(database) as owner:
        found = owner.execute("select number, act from conversations_auditentry order by number").fetchall()
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            owner.execute("delete from conversations_auditentry")
    assert [number for number, _ in found] == [3, 4]
    assert found[1][1] == "trimmed"


def test_a_role_for_a_managed_identity_is_created_and_labelled_in_one_transaction(database: str):
    """Only Azure's PostgreSQL has the label's provider: here the label fails, and the role is rolled back."""
    granted = manage(
        "grant_application_role", "id-web", "--entra", "0f8fad5b-d9cb-469f-a165-70867728950e", DATABASE_URL=database
    )
    assert granted.returncode == 1
    assert 'security label provider "pgaadauth" is not loaded' in granted.stderr
    with psycopg.connect(database) as owner:
        assert owner.execute("select from pg_roles where rolname = 'id-web'").fetchall() == []
    invalid = manage("grant_application_role", "id-web", "--entra", "id-web", DATABASE_URL=database)
    assert "argument --entra: invalid UUID value: 'id-web'" in invalid.stderr
