"""The database and the servers of a run. Servers run on their own core; context managers stop them."""

import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import redis

from benchmarks.endpoint import Endpoint
from benchmarks.measure import LOAD_CORE, SERVER_CORE, cpu_seconds, on_core, written_bytes
from benchmarks.readers import Reader, Reading, RelayReader
from tests.ports import unused_port
from tests.services import MIGRATED, PostgreSQL, Redis, migrated_postgresql
from tests.site import ROOT, Site, environment, manage, migrate

CREATE_PEOPLE = "from benchmarks.people import create; create({})"


class Server(Protocol):
    """A running server that prompts can be sent to."""

    pids: list[int]  # of its replicas

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
                self._postgresql = migrated_postgresql()
                resources.callback(self._postgresql.stop)
                # Otherwise the first write to a page after a checkpoint, at whatever time, logs the whole page.
                self._postgresql.set("full_page_writes", "off")
                self._redis = Redis(unused_port())
                resources.callback(self._redis.stop)
            else:
                migrate(f"sqlite:///{self._folder / MIGRATED}")
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @contextlib.contextmanager
    def site(
        self, people: int, replicas: int = 1, *, asks_elsewhere: bool = False, **variables: object
    ) -> Iterator["SiteServer"]:
        """Serve the site with a new database that contains this number of people.

        They are spread over the replicas, which need PostgreSQL. With `asks_elsewhere`, each person's socket is at
        another replica than the one that is asked, which then generates the answer.
        """
        if self._postgresql:
            url = self._postgresql.create_database(MIGRATED)
        else:
            database = Path(tempfile.mkdtemp(dir=self._folder), "db.sqlite3")
            url = f"sqlite:///{shutil.copy(self._folder / MIGRATED, database)}"
        created = manage("shell", "--no-imports", "--command", CREATE_PEOPLE.format(people), DATABASE_URL=url)
        created.check_returncode()
        settings: dict[str, object] = {
            "OPENAI_BASE_URL": self._endpoint.base_url,
            "OPENAI_MODEL": "benchmark",
            "REDIS_URL": self._redis.url if self._redis else "",
            "GENERATION_CONCURRENCY": people,
        }
        sites: list[Site] = []
        try:
            with on_core(SERVER_CORE):
                for _ in range(replicas):
                    sites.append(StartedSite(url, **settings | variables))  # noqa: PERF401  (those that started are killed)
            yield SiteServer(sites, json.loads(created.stdout), asks_elsewhere)
        finally:
            for site in sites:
                site.kill()

    def database_cpu(self) -> float:
        """Return the CPU seconds of PostgreSQL so far; 0 with SQLite, which has no server."""
        return cpu_seconds(self._postgresql.pid) if self._postgresql else 0.0

    def redis_use(self) -> tuple[float, float]:
        """Return Redis' CPU seconds, and the bytes that it has received and sent, so far; zeros without Redis."""
        if not self._redis:
            return 0.0, 0.0
        with redis.Redis.from_url(self._redis.url) as client:
            info: Any = client.info()
        transferred = info["total_net_input_bytes"] + info["total_net_output_bytes"]
        return info["used_cpu_user"] + info["used_cpu_sys"], transferred

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

    def _spawn(self) -> subprocess.Popen[str]:
        command = [sys.executable, "manage.py", "serve", "--host", self.host, "--port", str(self.port)]
        variables = environment(**self.variables)
        return subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


class SiteServer:
    """The site's replicas and the people in their database."""

    def __init__(self, sites: Sequence[Site], people: Sequence[dict[str, str]], asks_elsewhere: bool = False) -> None:
        self.pids = [site.process.pid for site in sites]
        self.site, self._sites = sites[0], sites
        self._people = iter(people)
        urls = [site.url for site in sites]
        self._urls = itertools.cycle(zip(urls, urls[1:] + urls[:1], strict=True))
        self._asks_elsewhere = asks_elsewhere

    def reader(self) -> Reader:
        person, (url, other) = next(self._people), next(self._urls)
        return Reader(url, person["session"], person["conversation"], asks_at=other if self._asks_elsewhere else "")

    def stored_bytes(self) -> int:
        if self.site.database_url.startswith("sqlite"):
            return sum(map(written_bytes, self.pids))
        return int(self.site.rows("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")[0][0])

    def differences(self, readings: Sequence[Reading]) -> Iterator[str]:
        stored = {
            prompt: values
            for prompt, *values in self.site.rows(
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
        if remaining := self.site.rows("select count(*) from conversations_chunk")[0][0]:
            yield f"{remaining} rows of chunks remain"
        for site in self._sites:
            yield from (line.strip() for line in site.lines if "ERROR" in line or "WARNING" in line)


class RelayServer:
    """The baseline relay."""

    def __init__(self, pid: int, url: str) -> None:
        self.pids = [pid]
        self._url = url

    def reader(self) -> RelayReader:
        return RelayReader(self._url)

    def stored_bytes(self) -> None:
        return None

    def differences(self, readings: Sequence[Reading]) -> Iterator[str]:
        for reading in readings:
            if reading.reasoning != reading.playback.script.reasoning + reading.playback.script.answer:
                yield f"{reading.name}: the received text is not what the endpoint sent"
