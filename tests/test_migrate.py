"""Migrations: one process at a time, whoever begins them."""

import psycopg
import pytest

from conversations.management.commands.migrate import LOCK
from tests import forked
from tests.services import PostgreSQL
from tests.site import ROOT, WAIT, environment, read_rows

pytestmark = pytest.mark.postgresql
APPLIED = "select app, name from django_migrations"


def begin(database_url: str) -> forked.Process:
    return forked.Process(ROOT, ["migrate"], environment(DATABASE_URL=database_url))


def test_a_migration_waits_for_another_to_end(postgresql: PostgreSQL):
    url = postgresql.create_database()
    with psycopg.connect(url) as other:
        other.execute("select pg_advisory_lock(%s)", [LOCK])
        waiting = begin(url)
        with waiting.stdout as printed:
            assert printed.readline() == "Waiting for another process to finish migrating\n"
            assert read_rows(url, "select to_regclass('django_migrations')") == [(None,)]
            other.execute("select pg_advisory_unlock(%s)", [LOCK])
            assert waiting.wait(WAIT) == 0
    assert read_rows(url, APPLIED)


def test_two_migrations_begun_at_once_apply_each_step_once(postgresql: PostgreSQL):
    url = postgresql.create_database()
    both = [begin(url), begin(url)]
    for process in both:
        with process.stdout:
            assert process.wait(2 * WAIT) == 0
    applied = read_rows(url, APPLIED)
    assert applied
    assert len(applied) == len(set(applied))
