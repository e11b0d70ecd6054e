"""The image, built and run as in production: its own user, a read-only root, PostgreSQL, Redis, a drain."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import connection
from tests.endpoint import Endpoint, Exchange
from tests.image import TEST_IMAGE, Container, Image, run_once
from tests.services import PostgreSQL, Redis
from tests.site import Person

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(os.geteuid() != 0, reason="buildah and runc are used as root here"),
]
if not TEST_IMAGE:
    pytestmark.append(pytest.mark.builder)
LIBRARY = "lib/python3.*/site-packages"


@pytest.fixture
def start_container(image: Image, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    containers: list[Container] = []

    def start(database_url: str, **variables: object) -> Container:
        containers.append(Container(image, tmp_path, database_url, **variables))
        return containers[-1]

    yield start
    for container in containers:
        if container.process.poll() is None:
            container.kill()


def test_the_last_stage_contains_the_site_without_build_tools(image: Image):
    assert (image.root / "app/staticfiles/staticfiles.json").exists()
    assert not (image.root / "wheels").exists() or not any((image.root / "wheels").iterdir())
    assert not list((image.root / "venv").glob(f"{LIBRARY}/pip*"))
    assert not list((image.root / "root").glob(".cache/*"))
    assert {path.name for path in (image.root / "app").iterdir()} == {
        *("manage.py", "requirements.txt", "chatsite", "conversations", "templates"),
        *("static", "staticfiles", "var", "files"),
    }


def test_only_the_data_belongs_to_the_sites_user(image: Image):
    user = int(image.config["User"].split(":")[0])
    own = {path for path in (image.root / "app").rglob("*") if path.lstat().st_uid == user}
    assert own == {image.root / "app" / name for name in ("var", "var/uploads", "files")}


@pytest.mark.postgresql
@pytest.mark.redis
def test_a_container_streams_a_conversation_which_survives_its_end(
    image: Image,
    start_container: Callable[..., Container],
    tmp_path: Path,
    join: Callable[..., Person],
    endpoint: Endpoint,
    postgresql: PostgreSQL,
    redis_server: Redis,
):
    async def answer_at_the_gate(exchange: Exchange) -> None:
        await exchange.reason("Hm. ")
        await exchange.gate("terminated")
        await exchange.answer("Yes.")
        await exchange.finish()

    endpoint.respond = answer_at_the_gate
    url = postgresql.create_database()
    variables = connection(endpoint) | {"REDIS_URL": redis_server.url, "DRAIN_SECONDS": 20}
    migrated = run_once(image, tmp_path, "migrate", DATABASE_URL=url, **variables)
    assert migrated.returncode == 0, migrated.stderr
    site = start_container(url, **variables)
    site.check_health()
    assert site.status["Uid"] == ["10001"] * 4
    assert site.status["CapEff"] == ["0" * 16]
    person = join(site, "ada")
    assert person.http.get("/readyz").json() == {"status": "ok", "reasons": []}
    # Too large to be kept in memory while it is received: it is written to a file, which a read-only root must allow.
    conversation = person.ask("Why? " * 30_000)
    endpoint.await_reached("terminated")
    with person.socket(conversation) as socket:
        frames = ""
        while "Hm." not in frames:
            frames += socket.recv(timeout=60)
        site.process.terminate()
        site.await_line("draining")
        endpoint.open("terminated")
        while "Yes." not in frames:
            frames += socket.recv(timeout=60)
    assert site.stop() == 0
    assert person.answers(conversation) == [("complete", "", "Hm. ", "Yes.")]
