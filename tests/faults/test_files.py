"""Attached files survive, or are gone entirely, whatever happens to the processes that store and delete them."""

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from tests.endpoint import Endpoint, think_and_answer
from tests.extraction.files import docx
from tests.site import POLL_SECONDS, WAIT, Person, Site, files_of, manage, shared_files

KEPT = hashlib.sha256(b"Kept").hexdigest()


def image() -> bytes:
    data = BytesIO()
    Image.new("RGB", (40, 40), "red").save(data, "PNG")
    return data.getvalue()


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def await_files(folder: Path, number: int) -> None:
    """Wait until the storage has so many files besides the marker."""
    await_true(lambda: len(names(folder)) == number + 1)


def await_true(condition: Callable[[], object]) -> None:
    """Wait for what no event tells of: files, and what other processes have open."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)


def reading_process(site: Site) -> int | None:
    """Return the id of the process in which a site reads a file."""
    for children in Path(f"/proc/{site.process.pid}/task").glob("*/children"):
        for pid in children.read_text().split():
            if "conversations.extraction.worker" in Path(f"/proc/{pid}/cmdline").read_text():
                return int(pid)
    return None


def has_received(site: Site) -> bool:
    """Return whether a file without a name, which ends with the site, contains a part of a request's body."""
    found = [path for path in Path(f"/proc/{site.process.pid}/fd").iterdir() if "(deleted)" in str(path.readlink())]
    return any(path.stat().st_size > 100_000 for path in found)


def kill_while_receiving(site: Site, person: Person, path: str = "/attachments/") -> None:
    """Kill the site when it has received a part of a file."""
    boundary = "b" * 20
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = head.encode() + b"a" * 8_000_000

    def parts() -> Iterator[bytes]:
        yield body
        await_true(lambda: has_received(site))
        site.process.kill()
        site.process.wait(WAIT)
        yield b"a" * len(body)  # all that the header announces, so that only the site's end can fail

    headers = {"X-CSRFToken": person.http.cookies["csrftoken"], "Origin": site.url}
    headers |= {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(2 * len(body))}
    person.http.post(path, content=parts(), headers=headers)


def kill_while_reading(site: Site, person: Person) -> None:
    """Kill the site when a process of its own reads a file. That process ends by itself."""
    document = docx("<w:p/>" * 300_000)  # which takes a second
    with ThreadPoolExecutor(1) as threads:
        uploading = threads.submit(person.upload, "slow.docx", document)
        await_true(lambda: reading_process(site) is not None)
        reader = reading_process(site)
        site.process.kill()
        await_true(lambda: not Path(f"/proc/{reader}").exists())
        uploading.result()


def test_what_a_killed_process_leaves_is_finished_by_the_next(make_site, join, tmp_path: Path):
    stage_file = tmp_path / "stage"
    stage_file.touch()
    site: Site = make_site(TEST_DIE_AT=stage_file)
    folder = files_of(site.database_url)
    uploads = Path(f"{folder}-uploads")
    person: Person = join(site, "ada")
    kept = person.upload("kept.txt", b"Kept").json()["id"]
    [(room,)] = site.rows("select bytes from conversations_storedtext")
    # What each stage leaves: the files in the storage besides the marker and `kept`, and the row.
    left = {
        "receiving": (0, None),
        "reading": (0, "writing"),
        "nothing written": (0, "writing"),
        "half written": (1, "writing"),
        "file written": (1, "writing"),
        "all written": (2, "writing"),
        "nothing deleted": (2, "deleting"),
        "half deleted": (1, "deleting"),
        "all deleted": (0, "deleting"),
    }
    for stage, (files, state) in left.items():
        with suppress(httpx2.TransportError):  # the site dies in the middle
            if stage == "receiving":
                kill_while_receiving(site, person)
            elif stage == "reading":
                kill_while_reading(site, person)
            else:
                stage_file.write_text(stage)
                pk = person.upload("dot.png", image()).json()["id"]
                person.post(f"/attachments/{pk}/remove/")
        assert site.process.wait(WAIT) == -signal.SIGKILL, stage
        site.kill()
        stage_file.write_text("")
        assert len(names(folder)) == 2 + files, stage
        rows = site.rows("select state from conversations_storedfile where sha256 <> ?", KEPT)
        assert rows == ([(state,)] if state else []), stage
        # As if an hour had passed, after which no upload is still being written.
        site.execute("update conversations_storedfile set changed_at = '2026-01-01 00:00:00' where state = 'writing'")
        for path in uploads.iterdir():
            os.utime(path, (0, 0))
        site.start()
        await_files(folder, 1)
        site.await_rows("select 1 where (select count(*) from conversations_storedfile) = 1")
        assert names(uploads) == set(), stage
        assert site.rows("select bytes from conversations_storedtext") == [(room,)], stage
        assert site.rows("select count(*) from conversations_attachment") == [(1,)], stage
    assert person.http.get(f"/attachments/{kept}/").text == "Kept"


@pytest.mark.postgresql
def test_an_earlier_version_can_delete_what_has_files(make_site, join, postgresql_database: str, endpoint: Endpoint):
    """It knows nothing of attachments, so the database has to delete them, and the site their files."""
    endpoint.respond = think_and_answer
    site: Site = make_site(postgresql_database)
    folder = shared_files(postgresql_database)
    person = join(site, "ada")
    pk = person.upload("a.txt", b"In a conversation").json()["id"]
    conversation = person.ask("What?", attachment=pk)
    person.await_end(conversation)
    person.upload("b.txt", b"Not sent")
    await_files(folder, 2)
    site.execute("update conversations_conversation set leaf_id = null")
    for table in ("conversations_generation", "conversations_message"):
        site.execute(f"delete from {table}")  # noqa: S608  (names of ours)
    await_files(folder, 1)
    site.await_rows("select 1 where (select count(*) from conversations_storedfile) = 1")  # goes after the file
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
