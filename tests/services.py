"""PostgreSQL and Redis for tests: real servers on loopback, started from Debian's programs."""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psycopg
import redis

from tests.parts import POSTGRESQL, REDIS

WAIT = 30  # seconds
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]  # initdb refuses root


class PostgreSQL:
    """A PostgreSQL cluster in a folder of its own, on a Unix socket and a loopback port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._bin = POSTGRESQL.find().parent
        # Not pytest's folder: that one is closed to `nobody`.
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._as = NOBODY if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(self._folder, "nobody", "nogroup")
        self._run("initdb", "-D", self._data, "-U", "site", "--auth=trust", "--no-sync", "--encoding=UTF8")
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._folder / "log", "-o", self._options, "start")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _options(self) -> str:
        return f"-p {self.port} -h 127.0.0.1 -k {self._folder} -c fsync=off"

    def create_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"site_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://site@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
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


class Redis:
    """A Redis server that keeps nothing."""

    def __init__(self, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        command = [
            REDIS.find(),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + WAIT
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "Redis did not start"
        client.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(WAIT)
