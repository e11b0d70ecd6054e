"""Archives are whole or not there, and imports have whole conversations, whenever the process is killed."""

import io
import json
import signal
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.faults.test_files import kill_while_receiving, names
from tests.importing.files import chatgpt
from tests.site import WAIT, Person, Site, files_of

CONVERSATIONS = 400
MESSAGES = 6  # of each
DELETE_USER = """
update conversations_conversation set leaf_id = null where owner_id = :owner;
delete from conversations_message where conversation_id in (
    select id from conversations_conversation where owner_id = :owner
);
delete from conversations_conversation where owner_id = :owner;
delete from account_emailaddress where user_id = :owner;
delete from conversations_usersession where user_id = :owner;
delete from conversations_user where id = :owner
"""


def await_death(site: Site) -> None:
    assert site.process.wait(WAIT) == -signal.SIGKILL
    site.kill()


def import_into(person: Person, name: str, content: bytes) -> httpx2.Response:
    headers = {"X-CSRFToken": person.http.cookies["csrftoken"], "Origin": person.site.url}
    return person.http.post("/import/", files={"file": (name, content)}, headers=headers)


def archives(site: Site) -> set[str]:
    return {name for name in names(files_of(site.database_url)) if name.startswith("archives/")}


def let_a_minute_pass(site: Site) -> None:
    """As if so long had passed that whoever wrote an archive is taken for dead, and a day, for the limit."""
    site.execute("update conversations_archive set beat_at = '2026-01-01', created_at = '2026-01-01'")


def test_an_archive_is_made_by_the_next_process_whenever_one_is_killed(make_site, join, tmp_path: Path):
    stage_file = tmp_path / "stage"
    stage_file.touch()
    site: Site = make_site(TEST_DIE_AT=stage_file)
    person: Person = join(site, "ada")
    record = chatgpt()
    assert "Imported: 1 conversation" in import_into(person, "a.json", json.dumps([record]).encode()).text
    # What each stage leaves of the archive that is being made.
    left = {"nothing written": 0, "half written": 1, "archive written": 1, "archive deleted": 0}
    for stage, files in left.items():
        if stage == "archive deleted":  # because it has expired
            site.execute("update conversations_archive set expires_at = '2026-01-02' where state = 'ready'")
            stage_file.write_text(stage)
        else:
            stage_file.write_text(stage)
            with suppress(httpx2.TransportError):  # it may die before it has responded
                person.post("/account/data/", reasoning="1")
        await_death(site)
        stage_file.write_text("")
        unfinished = site.rows("select id, attempt from conversations_archive where state = 'writing'")
        assert len(unfinished) == (stage != "archive deleted"), stage
        written = {name for name in archives(site) for pk, _ in unfinished if str(pk) in name.replace("-", "")}
        assert len(written) == files, stage
        let_a_minute_pass(site)
        site.start()
        if stage == "archive deleted":
            site.await_rows("select 1 where not exists (select 1 from conversations_archive where state <> 'deleted')")
            assert archives(site) == set()
            break
        [(pk, attempt)] = unfinished
        site.await_rows("select 1 from conversations_archive where id = ? and state = 'ready'", pk)
        assert site.rows("select attempt from conversations_archive where id = ?", pk) == [(attempt + 1,)]
        # It replaces the one before.
        site.await_rows("select 1 where (select count(*) from conversations_archive where state <> 'deleted') = 1")
        content = person.http.get(f"/account/data/{uuid.UUID(pk)}/").content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            assert "9.8 is." in next(archive.read(name).decode() for name in archive.namelist() if ".html" in name)
        assert len(archives(site)) == 1, stage


def many() -> bytes:
    return json.dumps([chatgpt() | {"conversation_id": f"c-{number}"} for number in range(CONVERSATIONS)]).encode()


def counts(site: Site) -> list[tuple[Any, ...]]:
    """Return how many conversations there are with so many messages."""
    return site.rows(
        "select number, count(*) from (select count(m.id) as number from conversations_conversation c"
        " left join conversations_message m on m.conversation_id = c.id group by c.id) as sizes group by number"
    )


def test_a_killed_import_leaves_whole_conversations_and_goes_on_with_the_same_file(make_site, join):
    site: Site = make_site()
    person: Person = join(site, "ada")
    with suppress(httpx2.TransportError):
        kill_while_receiving(site, person, "/import/")
    await_death(site)
    assert counts(site) == []
    site.start()
    content = many()
    with ThreadPoolExecutor(1) as threads:
        importing = threads.submit(import_into, person, "conversations.json", content)
        site.await_rows("select 1 where (select count(*) from conversations_conversation) > 5")
        site.process.kill()
        await_death(site)
        assert isinstance(importing.exception(), httpx2.TransportError)
    [(messages, found)] = counts(site)
    assert messages == MESSAGES
    assert 5 < found < CONVERSATIONS
    assert site.rows("select count(*) from conversations_conversation where leaf_id is null") == [(0,)]
    site.start()
    report = import_into(person, "conversations.json", content)
    assert f"left as they are: {found}" in report.text.replace(",", "")
    assert counts(site) == [(MESSAGES, CONVERSATIONS)]


def test_an_import_that_is_killed_while_it_stores_a_file_leaves_nothing_of_its_conversation(
    make_site, join, tmp_path: Path
):
    stage_file = tmp_path / "stage"
    stage_file.touch()
    site: Site = make_site(TEST_DIE_AT=stage_file)
    person: Person = join(site, "ada")
    person.await_end(person.ask("What?", attachment=person.upload("a.txt", b"The file").json()["id"]))
    person.post("/account/data/", reasoning="1")
    [(pk,)] = site.await_rows("select id from conversations_archive where state = 'ready'")
    content = person.http.get(f"/account/data/{uuid.UUID(pk)}/").content
    other: Person = join(site, "ben")
    for stage in ("nothing written", "half written"):
        stage_file.write_text(stage)
        with suppress(httpx2.TransportError):
            import_into(other, "archive.zip", content)
        await_death(site)
        stage_file.write_text("")
        assert counts(site) == [(2, 1)], stage
        site.execute("update conversations_storedfile set changed_at = '2026-01-01' where state = 'writing'")
        site.start()
        site.await_rows("select 1 where (select count(*) from conversations_storedfile) = 1")
    assert "1 conversation with 2 messages and 1 file" in import_into(other, "archive.zip", content).text
    assert counts(site) == [(2, 2)]
    assert len(names(files_of(site.database_url))) == 4  # the marker, the archive, and a file of each


@pytest.mark.postgresql
def test_an_earlier_version_can_delete_a_user_who_has_archives(make_site, join, postgresql_database: str):
    """It knows nothing of them, so the database keeps the row by which the site then deletes the file."""
    site: Site = make_site(postgresql_database)
    ada, ben = join(site, "ada"), join(site, "ben")
    record = json.dumps([chatgpt()]).encode()
    assert "Imported: 1 conversation with 6 messages" in import_into(ada, "a.json", record).text
    assert "left as they are: 1" in import_into(ada, "a.json", record).text
    ada.post("/account/data/", reasoning="1")
    [(pk, owner)] = site.await_rows("select id, owner_id from conversations_archive where state = 'ready'")
    content = ada.http.get(f"/account/data/{pk}/").content
    assert "1 conversation with 6 messages and 0 files, from an export" in import_into(ben, "a.zip", content).text
    assert ben.http.get(f"/account/data/{pk}/").status_code == 404
    for statement in DELETE_USER.split(";"):
        site.execute(statement.replace(":owner", str(owner)))
    site.await_rows("select 1 where not exists (select 1 from conversations_archive)")
    assert archives(site) == set()
