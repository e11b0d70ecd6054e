"""The scripts in deploy/: secrets from `.env`, and daily backups."""

import os
import re
import shutil
import stat
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from django.conf import settings
from dotenv import dotenv_values

from conversations.generation.worker import SIGN_OFF_SECONDS, WRITE_SECONDS
from tests.parts import PROXY
from tests.site import ROOT, WAIT
from tests.test_compose import COMPOSE
from tests.test_monitoring import MONITORING


def test_shellcheck_reports_nothing():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    scripts = [*ROOT.glob("deploy/*.sh"), *ROOT.glob("infra/*.sh"), ROOT / ".ci/run"]
    checked = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_in_a_codespace_make_trusts_the_address_that_is_forwarded(tmp_path: Path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    command = ["make", "--directory", tmp_path, "--file", ROOT / "Makefile", ".env"]
    for variables, origin in (
        ({}, None),
        (
            {"CODESPACE_NAME": "name", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev"},
            "https://name-8000.app.github.dev",
        ),
    ):
        (tmp_path / ".env").unlink(missing_ok=True)
        environment = {"PATH": os.environ["PATH"], **variables}
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=WAIT)
        assert dotenv_values(tmp_path / ".env").get("CSRF_TRUSTED_ORIGINS") == origin


@pytest.mark.proxy
def test_caddy_accepts_its_configuration():
    environment = os.environ | {"SITE_ADDRESS": "chat.example.org", "REPLICAS": "web-1:8000 web-2:8000"}
    command = [PROXY.find(), "validate", "--adapter", "caddyfile", "--config", ROOT / "deploy/Caddyfile"]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "Valid configuration" in checked.stdout


def test_the_service_of_systemd_runs_the_clone_and_has_time_to_drain():
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(ROOT / "deploy/systemd/ponder.service")
    service = unit["Service"]
    assert service["ExecStart"] == f"{service['WorkingDirectory']}/.venv/bin/python manage.py serve"
    assert service["ReadWritePaths"] == f"{service['WorkingDirectory']}/var"
    assert float(service["TimeoutStopSec"]) >= settings.DRAIN_SECONDS + WRITE_SECONDS + SIGN_OFF_SECONDS


def test_the_folders_of_a_plain_server_belong_to_its_user_before_root_runs_a_command(tmp_path: Path):
    for name in ("chatsite", "conversations", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", tmp_path)
    variables = {"SECRET_KEY": "k" * 50, "DATABASE_URL": "sqlite://:memory:"}
    subprocess.run([sys.executable, "manage.py", "check"], cwd=tmp_path, env=variables, check=True, timeout=WAIT)
    created = {tmp_path / "var", *(tmp_path / "var").rglob("*")}
    [command] = re.findall(r"^install -d -o ponder .*", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert created <= {tmp_path / Path(word).relative_to("/opt/ponder") for word in command.split() if "/" in word}


class Secrets:
    """A copy of deploy/secrets.sh in `folder`, and the files that it writes."""

    def __init__(self, folder: Path) -> None:
        (folder / "deploy").mkdir()
        self._script = shutil.copy(ROOT / "deploy/secrets.sh", folder / "deploy")
        self.folder = folder

    def write(self, *lines: str) -> str:
        """Run the script with these lines in `.env`; return what it prints."""
        (self.folder / ".env").write_text("".join(f"{line}\n" for line in lines))
        return subprocess.run(["sh", self._script], check=True, timeout=WAIT, stdout=subprocess.PIPE, text=True).stdout

    @property
    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.folder / "secrets").iterdir()}


@pytest.fixture
def made_secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path)


def test_keys_are_generated_once_and_readable_only_by_their_owner(made_secrets: Secrets):
    assert made_secrets.write() == ""
    first = made_secrets.files
    declared = COMPOSE["secrets"] | MONITORING["secrets"]
    assert set(first) == {Path(secret["file"]).name for secret in declared.values()}
    assert len(first["secret_key"]) >= 32
    assert first["postgresql_password"] in first["database_url"]
    assert stat.S_IMODE((made_secrets.folder / "secrets").stat().st_mode) == 0o700
    assert made_secrets.write() == ""
    assert made_secrets.files == first


def test_secrets_follow_env_without_replacing_keys(made_secrets: Secrets):
    made_secrets.write("SECRET_KEY=" + "s" * 50, "OPENAI_API_KEY=old")
    first = made_secrets.files
    assert first["secret_key"] == "s" * 50  # the site of `make run` has the same key
    said = made_secrets.write("SECRET_KEY=" + "t" * 50, "OPENAI_API_KEY=new", "EMAIL_URL=smtp://host")
    changed = {"openai_api_key": "new", "email_url": "smtp://host"}
    assert made_secrets.files == first | changed
    assert re.findall(r"secrets/(\w+) has changed", said) == list(changed)
    assert "secrets/secret_key differs" in said
    (made_secrets.folder / "secrets/openai_api_key").write_text("written by hand")
    made_secrets.write("EMAIL_URL=smtp://host")
    assert made_secrets.files["openai_api_key"] == "written by hand"
    made_secrets.write("OPENAI_API_KEY=")
    assert made_secrets.files["openai_api_key"] == ""


@pytest.mark.parametrize(
    "line",
    [
        "EMAIL_URL=smtp://user:pass@host:587/?tls=True",
        'EMAIL_URL="smtp://user:a b#c@host"',
        "EMAIL_URL='smtp://user:\"@host'  # our provider",
        "export EMAIL_URL = smtp://host   # our provider",
        "EMAIL_URL=smtp://user:a#b@host\r",
        "EMAIL_URL=first\nEMAIL_URL=second",
        "EMAIL_URL=",
    ],
)
def test_secrets_are_read_from_env_as_the_site_reads_them(made_secrets: Secrets, line: str):
    made_secrets.write(line)
    expected = dotenv_values(made_secrets.folder / ".env")["EMAIL_URL"]
    assert made_secrets.files["email_url"] == expected


def test_backups_are_made_daily_and_old_ones_deleted_after_a_success(tmp_path: Path):
    """The script of the service `backup`, with a `sleep` that ends it."""
    for name, text in {
        "backup.sh": '[ "$STATUS" = 0 ] && echo "$DATABASE_URL" > "$1"',
        "sleep": '#!/bin/sh\necho "$1" > "$SLEPT"; kill $PPID',
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "sleep").chmod(0o755)
    shutil.copy(ROOT / "deploy/backups.sh", tmp_path)
    (tmp_path / "url").write_text("postgresql://database")
    old = tmp_path / "2020-01-01T000000Z.dump"
    old.touch()
    os.utime(old, (0, 0))
    for status, seconds in ((1, 3600), (0, 86400)):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DATABASE_URL_FILE": str(tmp_path / "url")}
        environment |= {"STATUS": str(status), "SLEPT": str(tmp_path / "slept")}
        subprocess.run(["sh", tmp_path / "backups.sh", tmp_path, "14"], env=environment, timeout=WAIT, check=False)
        assert int((tmp_path / "slept").read_text()) == seconds
        assert old.exists() == bool(status)
    assert [path.read_text() for path in tmp_path.glob("*.dump")] == ["postgresql://database\n"]
