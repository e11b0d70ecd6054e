"""PostgreSQL and Redis for tests: real servers on loopback, started from Debian's programs."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import redis

from tests.parts import POSTGRESQL, REDIS
from tests.ports import unused_port
from tests.site import migrate

WAIT = 60  # seconds
LINES_SHOWN = 100
MIGRATED = "migrated"  # the database to be copied for each site
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]  # initdb refuses root


class PostgreSQL:
    """A PostgreSQL cluster in a folder of its own, on a Unix socket and a loopback port.

    `files` are those that another cluster left (`leave_files`); without them, the cluster is empty.
    """

    def __init__(self, port: int, files: Path | None = None) -> None:
        self.port = port
        self._bin = POSTGRESQL.find().parent
        # Not pytest's folder: that one is closed to `nobody`.
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._as = NOBODY if os.geteuid() == 0 else []
        if files:
            shutil.copytree(files, self._data)
        if self._as:
            subprocess.run(["chown", "--recursive", "nobody:nogroup", self._folder], check=True)
        if not files:
            self._run("initdb", "-D", self._data, "-U", "site", "--auth=trust", "--no-sync", "--encoding=UTF8")
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._folder / "log", "-o", self._options, "start")

    def crash(self) -> None:
        """End all its processes without a word to anybody; `start` recovers what was committed."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")

    def freeze(self) -> None:
        """Let it neither answer nor refuse, until `thaw`."""
        os.kill(self.pid, signal.SIGSTOP)  # first: from now on it makes no new processes
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in [*self._processes(), self.pid]:
            os.kill(pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        """Return the id of the process whose children are all others of the server."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def _processes(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _options(self) -> str:
        return f"-p {self.port} -h 127.0.0.1 -k {self._folder} -c fsync=off"

    def create_database(self, template: str = "template1", name: str = "") -> str:
        """Return the URL of a new database: empty, or a copy of one to which nobody is connected."""
        name = name or f"site_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name} template {template}")
        return self.url(name)

    def set(self, name: str, value: str) -> None:
        """Change a setting of the running server."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"alter system set {name} = {value}")
            connection.execute("select pg_reload_conf()")

    def ask_radius(self, role: str, port: int, secret: str, certificate: str) -> None:
        """Let `role` in with passwords that the RADIUS server at `port` accepts, and through TLS alone.

        `certificate` holds the certificate and its key, in PEM.
        """
        pem, hba = self._data / "server.pem", self._data / "pg_hba.conf"
        pem.write_text(certificate)
        pem.chmod(0o600)
        if self._as:
            shutil.chown(pem, "nobody", "nogroup")
        server = f'radiusservers="127.0.0.1" radiusports="{port}" radiussecrets="{secret}"'
        hba.write_text(f"hostssl all {role} all radius {server}\nhost all {role} all reject\n{hba.read_text()}")
        for name in ("ssl_cert_file", "ssl_key_file"):
            self.set(name, f"'{pem}'")
        self.set("ssl", "on")

    @contextlib.contextmanager
    def without_new_files(self) -> Iterator[None]:
        """Let it export no snapshot, which is the least that takes space."""
        folder = self._data / "pg_snapshots"
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(0o700)

    def url(self, database: str) -> str:
        return f"postgresql://site@127.0.0.1:{self.port}/{database}"

    def show_log(self) -> None:
        """Print the last lines of the server's log: pytest shows them if the test fails."""
        print("PostgreSQL:", *(self._folder / "log").read_text().splitlines()[-LINES_SHOWN:], sep="\n")

    def stop(self) -> None:
        self.crash()
        shutil.rmtree(self._folder)

    def leave_files(self, destination: Path) -> None:
        """Shut down, and leave the cluster's files at `destination`, from where other clusters can be started."""
        self._run("pg_ctl", "-D", self._data, "-w", "stop")
        shutil.move(self._data, destination)
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._as, self._bin / program, *map(str, arguments)]
        subprocess.run(
            command,
            check=True,
            timeout=WAIT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
        )


def migrated_postgresql() -> PostgreSQL:
    """Start a cluster with the migrated database."""
    server = PostgreSQL(unused_port())
    migrate(server.create_database(name=MIGRATED))
    return server


class Redis:
    """A Redis server that keeps nothing; with a certificate (and its key, in PEM) it speaks TLS alone."""

    def __init__(self, port: int, certificate: Path | None = None) -> None:
        self.port = port
        self._certificate = certificate
        self.url = f"redis://127.0.0.1:{port}/0"
        if certificate:
            self.url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
        self.start()

    def start(self) -> None:
        options = {"--port": str(self.port), "--bind": "127.0.0.1", "--save": "", "--appendonly": "no"}
        if self._certificate:
            options |= {"--port": "0", "--tls-port": str(self.port), "--tls-auth-clients": "no"}
            options |= dict.fromkeys(("--tls-cert-file", "--tls-key-file"), str(self._certificate))
        command = [REDIS.find(), *(part for option in options.items() for part in option)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + WAIT
        while not self.answers():
            assert time.monotonic() < deadline, "Redis did not start"

    def answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return client.ping()
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT)

    def freeze(self) -> None:
        """Let it neither answer nor refuse, until `thaw`."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(WAIT)
