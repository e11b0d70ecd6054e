import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from chatsite.identity import identity
from tests import restored
from tests.cloud import Cloud
from tests.endpoint import Endpoint
from tests.image import Image
from tests.ports import unused_port
from tests.services import MIGRATED, PostgreSQL, Redis, migrated_postgresql
from tests.site import Person, Site, migrate, show_log


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A model endpoint on loopback, to be told what to answer."""
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, settings) -> Iterator[Cloud]:
    """Azure on loopback, whose managed identity this process has."""
    cloud = Cloud()
    for name, value in cloud.variables.items():
        monkeypatch.setenv(name, value)
    settings.RUNNING_IN_PRODUCTION, settings.AZURE_CLIENT_ID = True, cloud.client_id
    yield cloud
    identity.close()
    cloud.close()


def connection(endpoint: Endpoint) -> dict[str, str]:
    return {"OPENAI_BASE_URL": endpoint.base_url, "OPENAI_MODEL": "test-model", "OPENAI_API_KEY": "canary-key"}


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the path of what `make` writes. The first test process that needs it makes it for all of one run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which the processes of one run share
    made, unfinished = folder / name, folder / f"unfinished-{name}"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(unfinished)
            unfinished.rename(made)
    return made


def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty migrated SQLite database, to be copied."""
    return made_once(tmp_path_factory, "template.sqlite3", lambda path: migrate(f"sqlite:///{path}"))


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty migrated SQLite database, to be copied for each site."""
    return migrated_database(tmp_path_factory)


@pytest.fixture(scope="session")
def django_db_setup(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Replace pytest-django's own, which would migrate another database in each process.

    A file, not memory: threads that race for a row then race as they do in production.
    """
    database = tmp_path_factory.mktemp("models") / "db.sqlite3"
    restored.template = migrated_database(tmp_path_factory)
    settings.DATABASES["default"]["NAME"] = shutil.copy(restored.template, database)


@pytest.fixture
def make_site(database_template: Path, tmp_path: Path, endpoint: Endpoint) -> Iterator[Callable[..., Site]]:
    """Start sites connected to `endpoint`; settings as keyword arguments. They end with the test."""
    sites: list[Site] = []

    def make(database_url: str = "", **variables: object) -> Site:
        if not database_url:
            database = tmp_path / f"{len(sites)}.sqlite3"
            shutil.copy(database_template, database)
            database_url = f"sqlite:///{database}"
        sites.append(Site(database_url, **(connection(endpoint) | variables)))
        return sites[-1]

    yield make
    for site in sites:
        site.kill()
        show_log(site)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site of this test's own, to be configured, killed and restarted."""
    return make_site()


@pytest.fixture(scope="session")
def shared(database_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Endpoint]]:
    """A site and its endpoint for all tests that only use them as a person does, each with people of their own."""
    endpoint = Endpoint()
    database = tmp_path_factory.mktemp("shared") / "db.sqlite3"
    shutil.copy(database_template, database)
    site = Site(f"sqlite:///{database}", **connection(endpoint))
    yield site, endpoint
    site.kill()
    endpoint.close()


@pytest.fixture
def shared_endpoint(shared: tuple[Site, Endpoint]) -> Endpoint:
    _, endpoint = shared
    endpoint.reset()
    return endpoint


@pytest.fixture
def join() -> Iterator[Callable[..., Person]]:
    """Sign people up at a site; under a name that nobody has, unless one is given."""
    people: list[Person] = []

    def join(site: Site, name: str = "") -> Person:
        people.append(Person(site, name or f"person{uuid.uuid4().hex[:12]}"))
        return people[-1]

    yield join
    for person in people:
        person.close()


@pytest.fixture
def shared_site(shared: tuple[Site, Endpoint], shared_endpoint: Endpoint) -> Iterator[Site]:
    yield shared[0]
    show_log(shared[0])


@pytest.fixture(scope="session")
def everybody(shared: tuple[Site, Endpoint]) -> Iterator[Person]:
    """Somebody at the shared site, for tests that need nobody new: signing up takes a while."""
    with contextlib.closing(Person(shared[0], "everybody")) as person:
        yield person


@pytest.fixture
def make_person(shared_site: Site, join: Callable[..., Person]) -> Callable[[], Person]:
    """Sign people up at the shared site."""
    return lambda: join(shared_site)


@pytest.fixture
def person(make_person: Callable[[], Person]) -> Person:
    return make_person()


@pytest.fixture(scope="session")
def postgresql_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a cluster with a migrated database, to be copied: that is quicker than to migrate another."""
    return made_once(tmp_path_factory, "postgresql", lambda path: migrated_postgresql().leave_files(path))


@pytest.fixture(scope="session")
def postgresql(postgresql_files: Path) -> Iterator[PostgreSQL]:
    server = PostgreSQL(unused_port(), postgresql_files)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    server = Redis(unused_port())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The container image, built once for all tests of it."""
    image = Image(tmp_path_factory.mktemp("image"))
    yield image
    image.remove()


@pytest.fixture
def postgresql_database(postgresql: PostgreSQL) -> str:
    """The URL of an empty migrated PostgreSQL database."""
    return postgresql.create_database(MIGRATED)
