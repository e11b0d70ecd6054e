"""The site for tests: a real `manage.py serve` on a free port with a database of its own, and people who use it."""

import atexit
import hashlib
import ipaddress
import os
import re
import shutil
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from websockets.sync.client import ClientConnection, connect

from tests import forked
from tests.ports import unused_port

ROOT = Path(__file__).parent.parent
WAIT = 60  # seconds
LINES_SHOWN = 200
POLL_SECONDS = 0.02  # asking without a pause would take the processor from those that are waited for
ENDPOINT_VARIABLES = (
    "AZURE_INFERENCE_ENDPOINT",
    "AZURE_DEEPSEEK_DEPLOYMENT",
    "AZURE_API_VERSION",
    "OPENAI_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_MODEL",
    "MODELS",
    "REDIS_URL",
    "ENTRA_TENANT_ID",
    "ENTRA_CLIENT_ID",
    "ENTRA_CLIENT_SECRET",
    "OIDC_ISSUER",
    "OIDC_CLIENT_ID",
    "OIDC_CLIENT_SECRET",
)
PASSWORD = "correct horse 1 battery"
WITHOUT_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to load all authorities takes tens of milliseconds
CSRF_SECRET = "c" * 32  # as long as Django's; a form proves that it knows the cookie's value
MAKE_PEOPLE = """
import uuid
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from conversations.models import User
with transaction.atomic():
    for _ in range({number}):
        user = User.objects.create(username=uuid.uuid4().hex, password="!")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        print(session.session_key)
"""


def environment(**variables: Any) -> dict[str, str]:
    """Return a process environment in which these variables alone configure the site; None leaves one out."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    defaults = {"SECRET_KEY": "k" * 50, "SIGNUP": "open", "EMAIL_URL": "console://", "DRAIN_SECONDS": 1}
    defaults["TITLES"] = "off"  # which would be further requests to the endpoint
    defaults["TRUSTED_PROXY_COUNT"] = 1  # for `from_elsewhere`
    defaults["LOCAL_ACCOUNTS"] = "true"
    defaults["DJANGO_SETTINGS_MODULE"] = "tests.site_settings"
    # A developer's .env is read too: what a test does not set must not come from there.
    defaults |= dict.fromkeys(ENDPOINT_VARIABLES, "") | {"DATABASE_AUTH": "password", "REDIS_AUTH": "password"}
    # Replicas share files as they share the database; those of SQLite databases are beside them.
    if str(variables.get("DATABASE_URL", "")).startswith("postgres"):
        defaults["STORAGE_URL"] = f"file://{shared_files(str(variables['DATABASE_URL']))}"
    given = {name: str(value) for name, value in (defaults | variables).items() if value is not None}
    return kept | given


@cache
def files_folder() -> Path:
    """Return a folder that is removed at the end of this process."""
    folder = Path(tempfile.mkdtemp(prefix="site-files-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def shared_files(database_url: str) -> Path:
    """Return the folder for the files of all sites with this database."""
    return files_folder() / hashlib.sha256(database_url.partition("?")[0].encode()).hexdigest()[:16]


def files_of(database_url: str) -> Path:
    """Return the folder for the files of the sites with this database, unless they name another one."""
    if database_url.startswith("sqlite"):
        return Path(f"{database_url.removeprefix('sqlite:///')}-files")
    return shared_files(database_url)


def manage(*arguments: str, root: Path = ROOT, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` of the checkout at `root` to its end."""
    return forked.run(root, arguments, environment(**variables), timeout=120)


def run_module(name: str, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run a module of the tests in a process with these settings. Asserts that it succeeds."""
    done = forked.run(ROOT, ["-m", name, *arguments], environment(**variables), timeout=5 * WAIT)
    assert done.returncode == 0, done.stderr[-20_000:]
    return done


def migrate(database_url: str) -> None:
    migrated = manage("migrate", "--verbosity", "0", DATABASE_URL=database_url)
    assert migrated.returncode == 0, migrated.stderr


def read_rows(database_url: str, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=20)
    else:
        connection = psycopg.connect(database_url)
        query = query.replace("?", "%s")
    try:
        return connection.execute(query, arguments).fetchall()
    finally:
        connection.close()


def from_elsewhere() -> dict[str, str]:
    """Return the header by which a request comes from an address of its own: sign-ups are limited for each address."""
    return {"X-Forwarded-For": str(ipaddress.IPv6Address(uuid.uuid4().int))}


class Site:
    """A serving process. `lines` is what it printed so far, `url` where it listens."""

    host = "127.0.0.1"
    root = ROOT  # the checkout whose code serves

    def __init__(self, database_url: str, **variables: Any) -> None:
        self.database_url = database_url
        self.variables = {"DATABASE_URL": database_url, **variables}
        self.port = unused_port()
        self.lines: list[str] = []
        self._printed = threading.Condition()
        self.start()

    def start(self) -> None:
        """Start the process, also again when it has ended: it listens on the same port."""
        self.process = self._spawn()
        self.lines = []
        self._has_printed_all = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = re.search(r"http://\S+", self.await_line(" http://"))[0]
        except AssertionError:
            self.kill()
            raise

    def _spawn(self) -> forked.Process | subprocess.Popen[str]:
        arguments = ["serve", "--host", self.host, "--port", str(self.port)]
        return forked.Process(self.root, arguments, environment(**self.variables))

    def await_line(self, part: str, after: int = 0) -> str:
        """Return the first line that holds `part` and was printed after so many others, waiting for it."""

        def found() -> str | None:
            return next((line for line in self.lines[after:] if part in line), None)

        with self._printed:
            self._printed.wait_for(lambda: found() or self._has_printed_all, WAIT)
        line = found()
        assert line, f"{part!r} was not printed:\n{''.join(self.lines)}"
        return line

    def stop(self) -> int:
        """End the process as an operator would; return its exit status."""
        self.process.terminate()
        status = self.process.wait(WAIT)
        self._reader.join(WAIT)
        self.process.stdout.close()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT)
        self._reader.join(WAIT)
        self.process.stdout.close()

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return manage(*arguments, root=self.root, **self.variables)

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Read from the database behind the site's back."""
        return read_rows(self.database_url, query, *arguments)

    def execute(self, statement: str) -> None:
        """Change the database behind the site's back."""
        if self.database_url.startswith("sqlite"):
            path = self.database_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=20)) as database, database:
                database.execute(statement)
        else:
            with psycopg.connect(self.database_url) as database:
                database.execute(statement)

    def await_rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Wait until a query finds something: for what happens where no event tells of it."""
        deadline = time.monotonic() + WAIT
        while not (rows := self.rows(query, *arguments)):
            assert time.monotonic() < deadline, f"nothing was found by {query}"
            time.sleep(POLL_SECONDS)
        return rows

    def uuid(self, text: str) -> str | uuid.UUID:
        """Return a UUID, or the one at the end of a path, as this database's driver takes it."""
        text = text.strip("/").split("/")[-1]
        return text.replace("-", "") if self.database_url.startswith("sqlite") else uuid.UUID(text)

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._printed:
                self.lines.append(line)
                self._printed.notify_all()
        with self._printed:
            self._has_printed_all = True
            self._printed.notify_all()


def show_log(site: Site) -> None:
    """Print the last lines that a site has printed: pytest shows them if the test fails."""
    print(f"{site.url} printed:\n{''.join(site.lines[-LINES_SHOWN:])}")


class Person:
    """Somebody with an account, and the HTTP client that is signed in as them."""

    def __init__(self, site: Site, name: str, cookies: Mapping[str, str] | None = None) -> None:
        """Sign up, unless there are cookies that sign in."""
        self.site = site
        self.name = name
        self.http = httpx2.Client(
            base_url=site.url, headers=from_elsewhere(), timeout=WAIT, follow_redirects=False, verify=WITHOUT_TLS
        )
        if cookies is None:
            self._sign_up()
        for cookie, value in (cookies or {}).items():
            self.http.cookies.set(cookie, value, domain=self.http.base_url.host)  # as the site itself sets them

    def _sign_up(self) -> None:
        fields = {
            "username": self.name,
            "email": f"{self.name}@example.org",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        signed_up = self.post("/accounts/signup/", **fields)
        if signed_up.status_code != 302:
            self.close()
            raise AssertionError(f"{signed_up.status_code}: {signed_up.text}")

    def at(self, site: Site) -> "Person":
        """Return the same person, signed in at another replica."""
        return Person(site, self.name, dict(self.http.cookies))

    def post(self, path: str, htmx: bool = False, **fields: str) -> httpx2.Response:
        if "csrftoken" not in self.http.cookies:
            self.http.get("/accounts/login/")
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"], "Origin": self.site.url}
        if htmx:
            headers["HX-Request"] = "true"
        return self.http.post(path, data=fields, headers=headers)

    def upload(self, name: str, content: bytes) -> httpx2.Response:
        if "csrftoken" not in self.http.cookies:
            self.http.get("/accounts/login/")
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"], "Origin": self.site.url}
        return self.http.post("/attachments/", files={"file": (name, content)}, headers=headers)

    def ask(self, content: str, conversation: str = "", **fields: str) -> str:
        """Send a prompt; return the conversation's path."""
        path = f"{conversation}messages/" if conversation else "/conversations/"
        response = self.post(path, content=content, **fields)
        assert response.status_code == 302, response.text
        assert response.headers["Location"] != "/", "the prompt was refused"
        return response.headers["Location"]

    def socket(self, conversation: str, query: str = "", **headers: str) -> ClientConnection:
        """Open the conversation's socket; a context manager."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        url = self.site.url.replace("http", "ws", 1) + f"/ws{conversation}{query}"
        # Without pings, like a browser: a client that does not read for a while would miss their answers. All frames
        # are taken: a socket closed while the library has paused reading waits for the end of `close_timeout`.
        options = {"open_timeout": WAIT, "close_timeout": WAIT, "ping_interval": None, "max_queue": None}
        return connect(url, additional_headers={"Cookie": cookies, **headers}, **options)

    def await_end(self, conversation: str) -> list[tuple[str, str, str, str]]:
        """Wait at the socket until nothing runs; return (status, error, reasoning, content) of each answer."""
        with self.socket(conversation) as socket:
            while True:
                ends = self.answers(conversation)
                if all(status not in ("queued", "thinking", "answering") for status, *_ in ends):
                    return ends
                socket.recv(timeout=WAIT)

    def answers(self, conversation: str) -> list[tuple[str, str, str, str]]:
        return self.site.rows(
            "select g.status, g.error, m.reasoning, m.content from conversations_generation g"
            " join conversations_message m on m.id = g.message_id where g.conversation_id = ? order by g.id",
            self.site.uuid(conversation),
        )

    def close(self) -> None:
        self.http.close()


def people(site: Site, number: int) -> list[Person]:
    """Return so many people with accounts made behind the site's back, already signed in: quicker than signing up."""
    made = site.manage("shell", "--no-imports", "--command", MAKE_PEOPLE.format(number=number))
    assert made.returncode == 0, made.stderr
    keys = made.stdout.split()
    return [Person(site, f"person{n}", {"sessionid": key, "csrftoken": CSRF_SECRET}) for n, key in enumerate(keys)]
