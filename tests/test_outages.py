"""What counts as an outage of the database, by errors of real databases."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.transaction import TransactionManagementError
from django.db.utils import DatabaseErrorWrapper

from chatsite.outages import describe, is_outage
from tests.ports import unused_port
from tests.services import PostgreSQL

# As Django raises the errors of its connections.
POSTGRESQL = DatabaseErrorWrapper(SimpleNamespace(Database=psycopg, errors_occurred=False))


@contextmanager
def raised() -> Iterator[list[Exception]]:
    """Collect the error of the block."""
    errors: list[Exception] = []
    try:
        yield errors
    except Exception as error:  # noqa: BLE001
        errors.append(error)
    assert errors, "nothing was raised"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None, timeout=0)
    connection.execute("create table t (text text unique)")
    yield connection
    connection.close()


def test_a_full_disk_a_lock_and_a_read_only_database_are_outages_of_sqlite(
    database: sqlite3.Connection, tmp_path: Path
):
    database.execute("pragma max_page_count = 3")
    with raised() as full:
        database.execute("insert into t values (?)", ["x" * 100_000])
    database.execute("pragma query_only = true")
    with raised() as read_only:
        database.execute("insert into t values ('')")
    database.execute("pragma query_only = false")
    other = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)
    other.execute("begin exclusive")
    with raised() as locked:
        database.execute("insert into t values ('')")
    other.close()
    with raised() as missing:
        sqlite3.connect(tmp_path / "no" / "folder")
    found = {describe(error): is_outage(error) for [error] in (full, read_only, locked, missing)}
    assert found == {
        "OperationalError SQLITE_FULL": True,
        "OperationalError SQLITE_READONLY": True,
        "OperationalError SQLITE_BUSY": True,
        "OperationalError SQLITE_CANTOPEN": True,
    }


def test_other_errors_of_sqlite_are_not(database: sqlite3.Connection):
    with raised() as unencodable:
        database.execute("insert into t values ('\ud800')")
    with raised() as duplicate:
        database.executemany("insert into t values (?)", [["same"], ["same"]])
    with raised() as no_column:
        database.execute("select missing from t")
    with raised() as wrong_number:
        database.execute("select ?", [])
    found = {describe(error): is_outage(error) for [error] in (unencodable, duplicate, no_column, wrong_number)}
    assert found == {
        "UnicodeEncodeError": False,
        "IntegrityError SQLITE_CONSTRAINT_UNIQUE": False,
        "OperationalError SQLITE_ERROR": False,
        "ProgrammingError": False,
    }


@pytest.mark.postgresql
def test_errors_of_postgresql_are_classified_by_their_state(postgresql: PostgreSQL):
    url = postgresql.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table t (text text unique not null)")
        with raised() as nul, POSTGRESQL:
            connection.execute("insert into t values (%s)", ["\x00"])
        with raised() as null, POSTGRESQL:
            connection.execute("insert into t values (null)")
        connection.execute("set default_transaction_read_only = on")
        with raised() as read_only, POSTGRESQL:
            connection.execute("insert into t values ('')")
        connection.execute("set default_transaction_read_only = off; begin; lock table t")
        with psycopg.connect(url, autocommit=True) as other:
            with raised() as locked, POSTGRESQL:
                other.execute("set lock_timeout = 1; select * from t")
            with raised() as cancelled, POSTGRESQL:
                other.execute("set lock_timeout = 0; set statement_timeout = 1; select * from t")
            other.execute(f"set statement_timeout = 0; select pg_terminate_backend({connection.info.backend_pid})")
        with raised() as ended, POSTGRESQL:
            connection.execute("select 1")
        with raised() as closed, POSTGRESQL:
            connection.execute("select 1")
    with raised() as refused, POSTGRESQL:
        psycopg.connect(f"postgresql://127.0.0.1:{unused_port()}/none")
    for [error] in (read_only, locked, cancelled, ended, closed, refused):
        assert is_outage(error), describe(error)
    for [error] in (nul, null):
        assert not is_outage(error), describe(error)
    assert describe(null[0]) == "IntegrityError 23502"  # and nothing of the row, which the message contains


def test_djangos_errors_are_classified_by_their_cause():
    def wrapped(error: DatabaseError, cause: BaseException) -> DatabaseError:
        error.__cause__ = cause
        return error

    deadlock = wrapped(OperationalError(), psycopg.errors.DeadlockDetected())
    assert is_outage(deadlock)
    assert describe(deadlock) == "OperationalError 40P01"
    assert is_outage(wrapped(TransactionManagementError(), deadlock))  # a statement after it in the same transaction
    assert is_outage(wrapped(OperationalError(), psycopg.OperationalError("no connection")))
    assert is_outage(InterfaceError("connection already closed"))
    assert not is_outage(wrapped(OperationalError(), psycopg.errors.InsufficientPrivilege()))
    assert not is_outage(TransactionManagementError())
    assert not is_outage(DatabaseError())
    assert not is_outage(ValueError())
