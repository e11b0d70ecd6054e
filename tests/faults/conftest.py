import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import connection
from tests.endpoint import Endpoint, Exchange
from tests.faults.baseline import Baseline
from tests.faults.endless_model import EndlessModel
from tests.services import MIGRATED, PostgreSQL, Redis
from tests.site import Person, Site, show_log

# Longer than these replicas take to reconnect after PostgreSQL has restarted.
DEAD_SECONDS = 10
KEY = "OPENAI_API_KEY"


@dataclass(frozen=True)
class Replicas:
    """Two processes of one site with PostgreSQL and Redis, and their model endpoint."""

    first: Site
    second: Site
    endpoint: Endpoint
    postgresql: PostgreSQL
    redis: Redis

    def owner_and_other(self, exchange: Exchange) -> tuple[Site, Site]:
        """Return the replica that has sent this request to the model, and the other one."""
        sites = (self.first, self.second)
        [owner] = [site for site in sites if exchange.headers["Authorization"] == f"Bearer {site.variables[KEY]}"]
        return owner, self.second if owner is self.first else self.first


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
        for key in ("first-canary-key", "second-canary-key"):  # which tell whose request it is
            sites.append(Site(url, **variables | {KEY: key}))
            stack.callback(sites[-1].kill)
        yield Replicas(*sites, endpoint, postgresql, redis_server)


@pytest.fixture
def replicas(running_replicas: Replicas) -> Iterator[Replicas]:
    """Two replicas that tests share. A test must leave them, PostgreSQL and Redis running."""
    running_replicas.endpoint.reset()
    yield running_replicas
    show_log(running_replicas.first)
    show_log(running_replicas.second)
    running_replicas.postgresql.show_log()


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
