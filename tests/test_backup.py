"""A backup taken while the site runs, restored into an empty system, serves the same conversations."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.endpoint import Endpoint
from tests.services import PostgreSQL
from tests.site import ROOT, WAIT, Person, Site, manage


def script(name: str, file: Path, database_url: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", ROOT / "deploy" / name, file]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "DATABASE_URL": database_url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT)


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_a_restored_backup_serves_the_same_conversations(
    database: str,
    make_site: Callable[..., Site],
    join: Callable[..., Person],
    endpoint: Endpoint,
    tmp_path: Path,
    request: pytest.FixtureRequest,
):
    if database == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        lived_in, empty = request.getfixturevalue("postgresql_database"), server.create_database()
        site = make_site(lived_in)
    else:
        site = make_site()
        lived_in, empty = site.database_url, f"sqlite:///{tmp_path}/restored.sqlite3"
    person = join(site)
    conversation = person.ask("What will be kept?")
    person.await_end(conversation)
    shown = person.http.get(conversation).text
    backup = tmp_path / "backup"
    assert script("backup.sh", backup, lived_in).returncode == 0
    assert backup.stat().st_mode & 0o077 == 0
    assert script("backup.sh", backup, lived_in).returncode == 1  # nothing is overwritten
    site.stop()

    assert script("restore.sh", backup, empty).stderr == ""
    restored = make_site(empty)
    again = person.at(restored)
    page = again.http.get(conversation)
    assert page.status_code == 200
    assert article(page.text) == article(shown)
    assert "What will be kept?" in article(page.text)
    assert "intact" in manage("verify_audit", DATABASE_URL=empty).stdout
    again.close()


def article(page: str) -> str:
    """Return the page's messages without what differs each time."""
    shown = page[page.index('id="messages"') : page.index("composer-dock")]
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", shown)
