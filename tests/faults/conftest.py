import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import MIGRATED, connection
from tests.endpoint import Endpoint
from tests.faults.baseline import Baseline
from tests.faults.endless_model import EndlessModel
from tests.services import PostgreSQL, Redis
from tests.site import Person, Site, show_log

# Longer than these replicas take to reconnect after PostgreSQL has restarted.
DEAD_SECONDS = 10


@dataclass(frozen=True)
class Replicas:
    """Two processes of one site with PostgreSQL and Redis, and their model endpoint."""

    first: Site
    second: Site
    endpoint: Endpoint
    postgresql: PostgreSQL
    redis: Redis

    def owner_and_other(self, generation: int) -> tuple[Site, Site]:
        """Return the replica that runs a generation, and the one that does not."""
        [(runs_in_first,)] = self.first.rows(
            "select worker_id = (select min(id) from conversations_worker) from conversations_generation where id = ?",
            generation,
        )
        return (self.first, self.second) if runs_in_first else (self.second, self.first)


@pytest.fixture
def model(endpoint: Endpoint) -> EndlessModel:
    """A model at the endpoint whose answers do not end by themselves."""
    endpoint.respond = model = EndlessModel()
    return model


@pytest.fixture(scope="package")
def running_replicas(postgresql: PostgreSQL, redis_server: Redis) -> Iterator[Replicas]:
    endpoint = Endpoint()
    url = postgresql.create_database(MIGRATED)
    variables = connection(endpoint) | {
        "REDIS_URL": redis_server.url,
        "USER_CONCURRENCY": 100,
        "TEST_DEAD_SECONDS": DEAD_SECONDS,
    }
    with contextlib.ExitStack() as stack:
        stack.callback(endpoint.close)
        sites = []
        for _ in range(2):  # one after the other, so that the first worker belongs to the first replica
            sites.append(Site(url, **variables))
            stack.callback(sites[-1].kill)
        yield Replicas(*sites, endpoint, postgresql, redis_server)


@pytest.fixture
def replicas(running_replicas: Replicas) -> Iterator[Replicas]:
    """Two replicas that tests share. A test must leave them, PostgreSQL and Redis running."""
    running_replicas.endpoint.reset()
    yield running_replicas
    show_log(running_replicas.first)
    show_log(running_replicas.second)


@pytest.fixture
def replicas_baseline(replicas: Replicas) -> Baseline:
    return Baseline(replicas.endpoint, replicas.first, replicas.second)


@pytest.fixture
def replicas_model(replicas: Replicas) -> EndlessModel:
    """A model at the replicas' endpoint whose answers do not end by themselves."""
    replicas.endpoint.respond = model = EndlessModel()
    return model


@pytest.fixture
def person(replicas: Replicas, join) -> Person:
    """A person who is signed in at the first replica."""
    return join(replicas.first)
