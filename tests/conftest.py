import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.endpoint import Endpoint
from tests.services import PostgreSQL, Redis
from tests.site import Person, Site, migrate


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A model endpoint on loopback, to be told what to answer."""
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty migrated SQLite database, to be copied for each site."""
    database = tmp_path_factory.mktemp("database") / "template.sqlite3"
    migrate(f"sqlite:///{database}")
    return database


@pytest.fixture
def make_site(database_template: Path, tmp_path: Path, endpoint: Endpoint) -> Iterator[Callable[..., Site]]:
    """Start sites connected to `endpoint`; settings as keyword arguments. They end with the test."""
    sites: list[Site] = []

    def make(database_url: str = "", **variables: object) -> Site:
        connected = {
            "OPENAI_BASE_URL": endpoint.base_url,
            "OPENAI_MODEL": "test-model",
            "OPENAI_API_KEY": "canary-key",
        }
        if not database_url:
            database = tmp_path / f"{len(sites)}.sqlite3"
            shutil.copy(database_template, database)
            database_url = f"sqlite:///{database}"
        sites.append(Site(database_url, **(connected | variables)))
        return sites[-1]

    yield make
    for site in sites:
        if site.process.poll() is None:
            site.kill()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def person(site: Site) -> Iterator[Person]:
    person = Person(site, "ada")
    yield person
    person.close()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    server = PostgreSQL(unused_port())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    server = Redis(unused_port())
    yield server
    server.stop()


@pytest.fixture
def postgresql_database(postgresql: PostgreSQL) -> str:
    """The URL of an empty migrated PostgreSQL database."""
    url = postgresql.create_database()
    migrate(url)
    return url
