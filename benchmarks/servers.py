"""The database and the servers of a run. Servers run on their own core; context managers stop them."""

import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.endpoint import Endpoint
from benchmarks.measure import LOAD_CORE, SERVER_CORE, on_core, written_bytes
from benchmarks.readers import Reader, Reading, RelayReader
from tests.conftest import unused_port
from tests.services import PostgreSQL, Redis
from tests.site import ROOT, Site, environment, migrate


class Server(Protocol):
    """A running server that prompts can be sent to."""

    pid: int

    def reader(self) -> Reader | RelayReader:
        """Return a client for a person who has none yet. Call it on the event loop."""

    def stored_bytes(self) -> int | None:
        """Return how many bytes have been written for the database so far; None without a database."""

    def differences(self, readings: Sequence[Reading]) -> Iterator[str]:
        """Yield a sentence for each text, received or stored, that differs from what the endpoint sent."""


class Servers:
    """Starts servers, one after another, with one kind of database and one endpoint."""

    def __init__(self, database: str, endpoint: Endpoint) -> None:
        self.database = database
        self._endpoint = endpoint
        self._resources = contextlib.ExitStack()
        self._postgresql: PostgreSQL | None = None
        self._redis: Redis | None = None

    def __enter__(self) -> "Servers":
        with self._resources as resources, on_core(LOAD_CORE):
            self._folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
            if self.database == "postgresql":
                self._postgresql = PostgreSQL(unused_port())
                resources.callback(self._postgresql.stop)
                # Otherwise the first write to a page after a checkpoint, at whatever time, logs the whole page.
                self._postgresql.set("full_page_writes", "off")
                self._redis = Redis(unused_port())
                resources.callback(self._redis.stop)
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @contextlib.contextmanager
    def site(self, people: int) -> Iterator["SiteServer"]:
        """Serve the site with a new database that contains this number of people."""
        if self._postgresql:
            url = self._postgresql.create_database()
        else:
            url = f"sqlite:///{tempfile.mkdtemp(dir=self._folder)}/db.sqlite3"
        migrate(url)
        created = subprocess.run(
            [sys.executable, "-m", "benchmarks.people", str(people)],
            cwd=ROOT,
            env=environment(DATABASE_URL=url),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        with on_core(SERVER_CORE):
            site = StartedSite(
                url,
                OPENAI_BASE_URL=self._endpoint.base_url,
                OPENAI_MODEL="benchmark",
                REDIS_URL=self._redis.url if self._redis else "",
                GENERATION_CONCURRENCY=people,
            )
        try:
            yield SiteServer(site, json.loads(created.stdout))
        finally:
            site.kill()

    @contextlib.contextmanager
    def relay(self) -> Iterator["RelayServer"]:
        """Serve the baseline relay."""
        command = [sys.executable, "-m", "benchmarks.relay", self._endpoint.base_url]
        with on_core(SERVER_CORE):
            process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
        with process:
            try:
                [line] = itertools.islice(process.stdout or (), 1)  # "running at <url>"
                yield RelayServer(process.pid, line.split()[-1])
            finally:
                process.kill()


class StartedSite(Site):
    """A site started as an operator does, not forked from a process that the tests use."""

    def _spawn(self, port: str) -> subprocess.Popen[str]:
        command = [sys.executable, "manage.py", "serve", "--host", self.host, "--port", port]
        variables = environment(**self.variables)
        return subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


class SiteServer:
    """The site and the people in its database."""

    def __init__(self, site: Site, people: Sequence[dict[str, str]]) -> None:
        self.pid = site.process.pid
        self._site = site
        self._people = iter(people)

    def reader(self) -> Reader:
        person = next(self._people)
        return Reader(self._site.url, person["session"], person["conversation"])

    def stored_bytes(self) -> int:
        if self._site.database_url.startswith("sqlite"):
            return written_bytes(self.pid)
        return int(self._site.rows("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")[0][0])

    def differences(self, readings: Sequence[Reading]) -> Iterator[str]:
        stored = {
            prompt: values
            for prompt, *values in self._site.rows(
                "select p.content, m.reasoning, m.content, g.status, g.error from conversations_generation g"
                " join conversations_message m on m.id = g.message_id"
                " join conversations_message p on p.id = m.parent_id"
            )
        }
        for reading in readings:
            script = reading.playback.script
            reasoning, answer, status, error = stored.get(reading.name, ("", "", "missing", ""))
            if (reading.status, status) != ("complete", "complete"):
                yield f"{reading.name} is stored as {status} {error}, and {reading.status or 'running'} for the reader"
            elif reading.is_read and reading.reasoning != script.reasoning:
                yield f"{reading.name}: the received reasoning is not what the endpoint sent"
            elif (reasoning, answer) != (script.reasoning, script.answer):
                yield f"{reading.name}: the stored text is not what the endpoint sent"
        if remaining := self._site.rows("select count(*) from conversations_chunk")[0][0]:
            yield f"{remaining} rows of chunks remain"
        yield from (line.strip() for line in self._site.lines if "ERROR" in line or "WARNING" in line)


class RelayServer:
    """The baseline relay."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid = pid
        self._url = url

    def reader(self) -> RelayReader:
        return RelayReader(self._url)

    def stored_bytes(self) -> None:
        return None

    def differences(self, readings: Sequence[Reading]) -> Iterator[str]:
        for reading in readings:
            if reading.reasoning != reading.playback.script.reasoning + reading.playback.script.answer:
                yield f"{reading.name}: the received text is not what the endpoint sent"
