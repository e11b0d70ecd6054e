"""What /readyz reports while a model fails, and while the database cannot be written."""

import resource
import time

import psycopg
import pytest

from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.faults.conftest import Replicas
from tests.services import PostgreSQL
from tests.site import POLL_SECONDS, WAIT, Person, Site

NO_SPACE = 4096  # bytes to which files of the process are limited: none of those that are open can grow


def readiness(person: Person) -> tuple[int, str, list[str]]:
    response = person.http.get("/readyz")
    return response.status_code, response.json()["status"], response.json()["reasons"]


def await_readiness(person: Person, status: int, reason: str = "") -> None:
    deadline = time.monotonic() + WAIT
    while (found := readiness(person))[0] != status or reason not in " ".join(found[2]):
        assert time.monotonic() < deadline, f"still {found}"
        time.sleep(POLL_SECONDS)


async def refuse_the_key(exchange: Exchange) -> None:
    await exchange.fail(401)


def test_a_site_with_a_failing_model_is_degraded_and_one_that_cannot_write_is_unavailable(
    make_site, join, endpoint: Endpoint
):
    site: Site = make_site()
    person = join(site)
    endpoint.respond = refuse_the_key
    conversation = person.ask("Why?")
    person.await_end(conversation)
    assert readiness(person) == (200, "degraded", ["the last answer failed: NotAuthorised"])
    assert person.http.get(conversation).status_code == 200
    endpoint.respond = think_and_answer
    person.ask("And now?", conversation)
    assert person.await_end(conversation)[-1][0] == "complete"
    assert readiness(person) == (200, "ok", [])

    _, limit = resource.prlimit(site.process.pid, resource.RLIMIT_FSIZE, (NO_SPACE, resource.RLIM_INFINITY))
    await_readiness(person, 503, "the database cannot be written")
    refused = person.post(f"{conversation}messages/", content="Is there space?")
    assert refused.status_code == 503
    assert "Temporarily unavailable" in refused.text
    resource.prlimit(site.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    await_readiness(person, 200)
    person.ask("Is there space?", conversation)
    assert person.await_end(conversation)[-1][0] == "complete"


def execute(postgresql: PostgreSQL, *statements: str) -> None:
    with psycopg.connect(postgresql.url("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.postgresql
@pytest.mark.redis
def test_a_read_only_postgresql_makes_a_site_unavailable(replicas: Replicas, person: Person):
    database = replicas.first.database_url.rpartition("/")[2]
    reconnect = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"  # noqa: S608
    conversation = person.ask("Why?")
    person.await_end(conversation)
    execute(replicas.postgresql, f"alter database {database} set default_transaction_read_only = on", reconnect)
    try:
        await_readiness(person, 503, "the database is read-only")
        refused = person.post(f"{conversation}messages/", content="Is it saved?")
        assert refused.status_code == 503
        assert "Temporarily unavailable" in refused.text
    finally:
        execute(replicas.postgresql, f"alter database {database} reset default_transaction_read_only", reconnect)
    await_readiness(person, 200)
    person.ask("Is it saved?", conversation)
    assert person.await_end(conversation)[-1][0] == "complete"


@pytest.mark.postgresql
@pytest.mark.redis
def test_a_postgresql_that_cannot_create_files_makes_a_site_unavailable(replicas: Replicas, person: Person):
    # The heartbeat needs no space, and a full disk needs a file system of its own.
    with replicas.postgresql.without_new_files():
        await_readiness(person, 503, "the database is not responding")
    await_readiness(person, 200)
