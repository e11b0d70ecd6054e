"""Backups of a site that streams, was killed or was stopped are complete, or absent; restored, they serve the same."""

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.endpoint import Endpoint, Exchange
from tests.services import PostgreSQL
from tests.site import ROOT, WAIT, Person, Site, files_of, manage, read_rows
from tests.test_compose_run import documented

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
LIMIT = 32  # blocks of 512 bytes
CONTENT = (
    "select m.content, m.reasoning, g.status, c.text from conversations_message m"
    " left join conversations_generation g on g.message_id = m.id"
    " left join conversations_chunk c on c.generation_id = g.id order by m.id"
)


def script(
    name: str, file: Path, database_url: str, *, file_size_limit: str = "unlimited"
) -> subprocess.CompletedProcess[str]:
    """Run a script of deploy/, which can write no file larger than the limit: a disk that is full."""
    command = ["sh", "-c", f'ulimit -f {file_size_limit}; exec sh "$0" "$1"', ROOT / "deploy" / name, file]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "DATABASE_URL": database_url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT)


def back_up(database_url: str, file: Path) -> Path:
    done = script("backup.sh", file, database_url)
    assert (done.returncode, done.stderr) == (0, "")
    return file


def restore(file: Path, database_url: str) -> str:
    done = script("restore.sh", file, database_url)
    assert (done.returncode, done.stderr) == (0, "")
    return database_url


@pytest.fixture
def new_database(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return URLs of places for a database: empty databases of PostgreSQL, or paths of no file."""
    if database == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        return server.create_database
    folder = tmp_path / "restored"
    folder.mkdir()
    return lambda: f"sqlite:///{folder}/{len(list(folder.iterdir()))}.sqlite3"


@pytest.fixture
def migrated(database: str, request: pytest.FixtureRequest, database_template: Path, tmp_path: Path) -> str:
    """Return the URL of a database without conversations."""
    if database == "postgresql":
        return request.getfixturevalue("postgresql_database")
    return f"sqlite:///{shutil.copy(database_template, tmp_path / 'migrated.sqlite3')}"


def file_of(database_url: str) -> Path:
    return Path(database_url.removeprefix("sqlite:///"))


async def think_without_end(exchange: Exchange) -> None:
    await exchange.reason("Half a thought.")
    await exchange.gate("never")


@pytest.mark.parametrize("database", DATABASES)
def test_backups_of_a_site_that_streams_was_killed_and_was_stopped_serve_the_same_conversations(
    database: str,
    migrated: str,
    new_database: Callable[[], str],
    make_site: Callable[..., Site],
    join: Callable[..., Person],
    endpoint: Endpoint,
    tmp_path: Path,
):
    site = make_site(migrated)
    person = join(site)
    ended = person.ask("What will be kept?")
    person.await_end(ended)
    shown = person.http.get(ended).text
    endpoint.respond = think_without_end
    running = person.ask("Why?")
    site.await_rows("select 1 from conversations_chunk")
    content = site.rows(CONTENT)
    assert content[-1] == ("", "", "thinking", "Half a thought.")

    while_streaming = back_up(migrated, tmp_path / "streaming")
    assert while_streaming.stat().st_mode & 0o077 == 0
    site.kill()
    if database == "sqlite":
        assert Path(f"{file_of(migrated)}-wal").stat().st_size > 0
    after_a_kill = back_up(migrated, tmp_path / "killed")
    assert read_rows(restore(while_streaming, new_database()), CONTENT) == content

    restored = make_site(
        restore(after_a_kill, new_database()), TEST_DEAD_SECONDS=1, STORAGE_URL=f"file://{files_of(migrated)}"
    )
    again = person.at(restored)
    assert again.await_end(ended)[0][0] == "complete"
    assert article(again.http.get(ended).text) == article(shown)
    [(status, error, reasoning, _)] = again.await_end(running)
    assert (status, reasoning) == ("interrupted", "Half a thought.")
    assert error in again.http.get(running).text
    assert "intact" in manage("verify_audit", DATABASE_URL=restored.database_url).stdout
    again.close()

    content = restored.rows(CONTENT)
    assert restored.stop() == 0
    if database == "sqlite":  # the file alone is complete
        log = Path(f"{file_of(restored.database_url)}-wal")
        assert not log.exists() or log.stat().st_size == 0
        alone = shutil.copy(file_of(restored.database_url), tmp_path / "alone.sqlite3")
        assert read_rows(f"sqlite:///{alone}", CONTENT) == content
    after_the_end = back_up(restored.database_url, tmp_path / "stopped")
    assert read_rows(restore(after_the_end, new_database()), CONTENT) == content


@pytest.mark.parametrize("database", DATABASES)
def test_a_backup_that_fails_leaves_nothing(database: str, migrated: str, tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()
    full = script("backup.sh", folder / "backup", migrated, file_size_limit=LIMIT)
    assert full.returncode != 0
    missing = script("backup.sh", folder / "backup", f"{migrated}-missing")
    assert missing.returncode != 0
    assert list(folder.iterdir()) == []
    backup = back_up(migrated, folder / "backup")
    assert backup.stat().st_size > LIMIT * 512
    before = backup.read_bytes()
    assert script("backup.sh", backup, migrated).returncode == 1
    assert [file.read_bytes() for file in folder.iterdir()] == [before]


@pytest.mark.parametrize("database", DATABASES)
def test_a_restore_that_fails_leaves_the_place_empty(
    database: str, migrated: str, new_database: Callable[[], str], tmp_path: Path
):
    backup, empty = back_up(migrated, tmp_path / "backup"), new_database()
    cut, nothing = tmp_path / "cut", tmp_path / "nothing"
    cut.write_bytes(backup.read_bytes()[: -backup.stat().st_size // 3])
    nothing.touch()
    for file in (cut, nothing, tmp_path / "missing"):
        assert script("restore.sh", file, empty).returncode != 0
    if database == "sqlite":
        assert script("restore.sh", backup, empty, file_size_limit=LIMIT).returncode != 0
        assert list(file_of(empty).parent.iterdir()) == []
    restore(backup, empty)
    assert read_rows(empty, "select count(*) from conversations_conversation") == [(0,)]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_restore_overwrites_no_file_of_a_database(suffix: str, database_template: Path, tmp_path: Path):
    backup = back_up(f"sqlite:///{database_template}", tmp_path / "backup")
    database = tmp_path / "database.sqlite3"
    existing = Path(f"{database}{suffix}")
    existing.write_text("precious")
    refused = script("restore.sh", backup, f"sqlite:///{database}")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"{existing} already exists.")
    assert existing.read_text() == "precious"
    assert suffix == "" or not database.exists()


@pytest.mark.postgresql
def test_restore_changes_no_database_with_tables(postgresql_database: str, tmp_path: Path):
    backup = back_up(postgresql_database, tmp_path / "backup")
    refused = script("restore.sh", backup, postgresql_database)
    assert refused.returncode == 1
    assert "The database already contains" in refused.stderr


def test_restore_takes_along_the_write_ahead_log_of_a_copied_database(database_template: Path, tmp_path: Path):
    copied, database = tmp_path / "copied", tmp_path / "database.sqlite3"
    subprocess.run(["sh", "-c", 'cp "$0" "$1"', database_template, copied], check=True)
    leave_a_log = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('pragma journal_mode = wal');"
        " c.execute('create table logged (x)'); c.commit(); os._exit(0)"
    )
    subprocess.run(["python3", "-c", leave_a_log, copied], check=True)
    restore(copied, f"sqlite:///{database}")
    assert read_rows(f"sqlite:///{database}", "select count(*) from logged") == [(0,)]


def article(page: str) -> str:
    """Return the page's messages without what differs each time."""
    shown = page[page.index('id="messages"') : page.index("composer-dock")]
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", shown)


def copy_files(source: Path, target: Path, *previous: Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", ROOT / "deploy/copy_files.sh", source, target, *previous]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)


def test_a_copy_of_files_is_complete_and_shares_what_an_earlier_copy_has(tmp_path: Path):
    source = tmp_path / "source"
    for name in ("files/a", "files/unfinished", "files/deleted", "pictures/a", "site"):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name[:4])
    first, second = tmp_path / "1.files", tmp_path / "2.files"
    assert copy_files(source, first).returncode == 0
    (source / "files/deleted").unlink()
    (source / "files/unfinished").write_text("finished")
    os.utime(source / "files/unfinished", (time.time() + 5,) * 2)
    assert copy_files(source, second, first).returncode == 0
    names = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert {str(path.relative_to(second)) for path in second.rglob("*") if path.is_file()} == names
    assert all((second / name).read_bytes() == (source / name).read_bytes() for name in names)
    assert (second / "files/a").samefile(first / "files/a")
    assert first.stat().st_mode & 0o077 == 0
    assert copy_files(source, second).returncode != 0  # it is not changed
    assert copy_files(tmp_path / "missing", tmp_path / "3.files").returncode != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.files", "2.files", "source"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another container's root does")
def test_files_are_restored_for_the_sites_user_with_the_capabilities_that_the_documentation_gives(tmp_path: Path):
    [command] = (line for line in documented("Restore") if "/app/files" in line)
    backup, files = tmp_path / "then.files", tmp_path / "app"
    for folder in (backup, files):
        (folder / "files").mkdir(parents=True)
        (folder / "site").write_text(folder.name)
        (folder / "files").chmod(0o700)
        folder.chmod(0o700)
    (backup / "files/a").write_text("restored")
    for path in (files, *files.rglob("*")):
        os.chown(path, 10001, 10001)
    copy = shlex.split(command)[-1].replace("/backups/BACKUP.files", str(backup)).replace("/app/files", str(files))
    capabilities = ",".join(["-all", *(f"+{name.lower()}" for name in re.findall(r"--cap-add (\w+)", command))])
    root = ["setpriv", f"--bounding-set={capabilities}", "--inh-caps=-all", "sh", "-c", copy]
    done = subprocess.run(root, capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stderr
    assert ((files / "files/a").read_text(), (files / "site").read_text()) == ("restored", "then.files")
    assert {path.stat().st_uid for path in files.rglob("*")} == {10001}
