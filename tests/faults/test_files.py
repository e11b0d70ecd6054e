"""Attached files survive, or are gone entirely, whatever happens to the processes that store and delete them."""

import os
import time
from io import BytesIO
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from tests.dying_storage import STAGES
from tests.endpoint import Endpoint, think_and_answer
from tests.site import WAIT, Person, Site, manage, shared_files


def image() -> bytes:
    data = BytesIO()
    Image.new("RGB", (40, 40), "red").save(data, "PNG")
    return data.getvalue()


def upload(person: Person, name: str, content: bytes) -> httpx2.Response:
    person.http.get("/accounts/login/")
    headers = {"X-CSRFToken": person.http.cookies["csrftoken"], "Origin": person.site.url}
    return person.http.post("/attachments/", files={"file": (name, content)}, headers=headers)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def await_files(folder: Path, number: int) -> None:
    """Wait until the storage has so many files besides the marker."""
    deadline = time.monotonic() + WAIT
    while len(names(folder)) != number + 1:
        assert time.monotonic() < deadline, names(folder)
        time.sleep(0.05)


def await_death(site: Site) -> None:
    site.process.wait(WAIT)
    site.kill()


def test_what_a_killed_process_leaves_is_finished_by_the_next(make_site, join):
    site: Site = make_site()
    folder = Path(f"{site.database_url.removeprefix('sqlite:///')}-files")
    uploads = Path(f"{folder}-uploads")
    person = join(site, "ada")
    port = site.url.rsplit(":", 1)[1]
    kept = upload(person, "kept.txt", b"Kept").json()["id"]
    await_files(folder, 1)
    for stage in STAGES:
        site.kill()
        site.variables["TEST_DIE_AT"] = stage
        site.start(port)
        try:
            response = upload(person, "dot.png", image())
            person.post(f"/attachments/{response.json()['id']}/remove/")
        except httpx2.TransportError:
            pass  # it died in the middle
        await_death(site)
        assert len(site.rows("select 1 from conversations_storedfile")) == 2, stage  # the other one is `kept`
        site.variables["TEST_DIE_AT"] = ""
        site.execute("update conversations_storedfile set changed_at = '2026-01-01 00:00:00' where state = 'writing'")
        for path in uploads.iterdir():
            os.utime(path, (0, 0))
        site.start(port)
        await_files(folder, 1)
        site.await_rows("select 1 where (select count(*) from conversations_storedfile) = 1")
        assert names(uploads) == set(), stage
    assert person.http.get(f"/attachments/{kept}/").text == "Kept"


@pytest.mark.postgresql
def test_an_earlier_version_can_delete_what_has_files(make_site, join, postgresql_database: str, endpoint: Endpoint):
    """It knows nothing of attachments, so the database has to delete them, and the site their files."""
    endpoint.respond = think_and_answer
    site: Site = make_site(postgresql_database)
    folder = shared_files(postgresql_database)
    person = join(site, "ada")
    pk = upload(person, "a.txt", b"In a conversation").json()["id"]
    conversation = person.ask("What?", attachment=pk)
    person.await_end(conversation)
    upload(person, "b.txt", b"Not sent")
    await_files(folder, 2)
    site.execute("update conversations_conversation set leaf_id = null")
    for table in ("conversations_generation", "conversations_message"):
        site.execute(f"delete from {table}")  # noqa: S608  (names of ours)
    await_files(folder, 1)
    size = site.rows("select bytes from conversations_storedtext")
    assert size == [(2 * len("Not sent"),)]


@pytest.mark.postgresql
def test_a_replica_without_the_shared_storage_does_not_start(make_site, postgresql_database: str, tmp_path: Path):
    site: Site = make_site(postgresql_database)
    refused = manage("serve", "--port", "0", DATABASE_URL=postgresql_database, STORAGE_URL=f"file://{tmp_path}/other")
    assert refused.returncode != 0
    assert "STORAGE_URL" in refused.stderr
    assert "All replicas must share one storage" in refused.stderr
    assert site.process.poll() is None
