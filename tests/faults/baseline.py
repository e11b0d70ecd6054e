"""The check after every fault: nothing has leaked, no row is stuck, and pages agree with the database."""

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.endpoint import Endpoint
from tests.screen import Screen, parse
from tests.site import POLL_SECONDS, Person, Site

WAIT = 60  # seconds until everything that was opened must be closed
# What a process opens on demand and keeps for later requests, which is not a leak up to these numbers. An SQLite
# database is three files, open in each thread that uses it.
KEPT_OPEN = Counter({"endpoint": 100, "postgresql": 16, "redis": 2, "sqlite": 3 * 16, "renderer": 4, "/dev/null": 5})


class Baseline:
    """The open files and tasks of idle sites. `check` compares them, and checks rows, pages and logs."""

    def __init__(self, endpoint: Endpoint, *sites: Site) -> None:
        self.endpoint = endpoint
        self.sites = sites
        self._logs = [(site.lines, len(site.lines)) for site in sites]
        self._tasks = {site: tasks(site) for site in sites}
        self._files = {site: files(site) for site in sites}

    def check(self, *conversations: tuple[Person, str], expected_logs: Iterable[str] = ()) -> None:
        """Check rows, pages, connections, logs and leaks. Closes the connections of the people given.

        `expected_logs` are parts of the error lines that the test itself caused.
        """
        serving = [site for site in self.sites if site.process.poll() is None]
        check_rows(serving[0], workers=len(serving))
        for person, conversation in conversations:
            check_page(person, conversation)
        for person, _ in conversations:
            person.close()
        for site in serving:
            await_no_more_than(self._tasks[site], lambda site=site: tasks(site))
            await_no_more_than(self._files[site], lambda site=site: files(site))
        for exchange in self.endpoint.exchanges:
            assert exchange.over.wait(WAIT), exchange.body["messages"][-1]
        check_transactions(serving[0])
        started = [(site.lines, 0) for site in self.sites if all(site.lines is not lines for lines, _ in self._logs)]
        check_log([line for lines, printed in self._logs + started for line in lines[printed:]], expected_logs)


def await_no_more_than(before: Counter[str], count: Callable[[], Counter[str]]) -> None:
    """Wait until no count is higher than before, except for what processes keep open."""
    allowed = before | KEPT_OPEN
    deadline = time.monotonic() + WAIT
    while more := count() - allowed:
        assert time.monotonic() < deadline, f"more than before: {more}"
        time.sleep(POLL_SECONDS)


def check_rows(site: Site, *, workers: int) -> None:
    """Check that no row is stuck: no live generation, no slot in use, no chunk, no worker that has ended."""
    unfinished = "status in ('queued', 'thinking', 'answering') or slot is not null or finished_at is null"
    assert site.rows(f"select id, status from conversations_generation where {unfinished}") == []  # noqa: S608
    assert site.rows("select count(*) from conversations_chunk") == [(0,)]
    assert site.rows("select count(*) from conversations_worker") == [(workers,)]


def check_page(person: Person, conversation: str) -> None:
    """Check that a fresh page shows what the database contains. Answers must be plain words."""
    screen = Screen(person.http.get(conversation).text)
    rows = person.site.rows(
        "select m.id, m.reasoning, m.content, g.status, g.error from conversations_message m"
        " left join conversations_generation g on g.message_id = m.id"
        " where m.conversation_id = ? order by m.id, g.id",
        person.site.uuid(conversation),
    )
    newest = {pk: row for pk, *row in rows}
    unread = {pane.attributes["id"] for pane in screen.unread_reasoning()}
    assert len(newest) == len(screen.articles)
    for pk, (reasoning, content, status, error) in newest.items():
        article = screen.page.find(f"message-{pk}")
        answer = screen.text(f"answer-{pk}")
        if (url := f"/messages/{pk}/whole/") in (element.attributes.get("href") for element in article.elements()):
            answer = parse(person.http.get(url, headers={"HX-Request": "true"}).text).text
        assert answer.split() == content.split()
        assert screen.text(f"reasoning-{pk}") == reasoning or f"reasoning-{pk}" in unread
        assert article.attributes["data-status"] == (status or "sent")
        assert (error or "") in article.text


def check_log(lines: Sequence[str], expected_logs: Iterable[str] = ()) -> None:
    allowed = tuple(expected_logs)
    wrong = re.compile(r"Traceback|^\S+ \S+ (ERROR|CRITICAL) |never retrieved|never awaited")
    for number, line in enumerate(lines):
        excused = any(part in line for part in allowed)
        assert excused or not wrong.search(line), "".join(["The log says:\n", *lines[number : number + 60]])


def check_transactions(site: Site) -> None:
    """Wait until every connection to PostgreSQL is idle and in no transaction."""
    if not site.database_url.startswith("postgresql"):
        return
    deadline = time.monotonic() + WAIT
    while busy := site.rows(
        "select state, query from pg_stat_activity where datname = current_database()"
        " and state <> 'idle' and pid <> pg_backend_pid()"
    ):
        assert time.monotonic() < deadline, busy
        time.sleep(POLL_SECONDS)


def tasks(site: Site) -> Counter[str]:
    """Return the serving process's asyncio tasks, counted by the name of their coroutine."""
    return Counter(json.loads(ask(site, signal.SIGUSR1, "tasks: ")))


def objects(site: Site) -> int:
    """Return the number of the serving process's objects, after a collection of its garbage."""
    return int(ask(site, signal.SIGRTMIN, "objects: "))


def ask(site: Site, question: int, label: str) -> str:
    """Send the serving process a signal; return what the probe prints after `label`."""
    printed = len(site.lines)
    site.process.send_signal(question)
    return site.await_line(label, after=printed).partition(label)[2]


def files(site: Site) -> Counter[str]:
    """Return the numbers of the serving process's open files by kind; of TCP connections by their other end."""
    folder, kinds = Path(f"/proc/{site.process.pid}/fd"), Counter()
    ends = connections(site)
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime
            target = str(entry.readlink())
            inode = re.fullmatch(r"socket:\[(\d+)\]", target)
            if inode:
                kinds[ends.get(inode[1], "socket")] += 1
            else:
                kinds["sqlite" if ".sqlite3" in target else re.sub(r"\[\d+\]", "", target)] += 1
    return kinds


def connections(site: Site) -> dict[str, str]:
    """Return the other end of each of this machine's connections by its inode, as seen from this site."""
    known = {
        urlsplit(address).port: name
        for name, address in (
            ("endpoint", site.variables["OPENAI_BASE_URL"]),
            ("postgresql", site.database_url),
            ("redis", site.variables.get("REDIS_URL", "")),
        )
        if address.partition("://")[2].partition("/")[0]  # an SQLite file has no host
    }
    port = urlsplit(site.url).port
    # Rendering processes use pairs of Unix sockets. The server has a pair of its own, which is counted too.
    ends = {line.split()[6]: "renderer" for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, _, _, _, _, inode, *_ = line.split()
        here, there = (int(address.partition(":")[2], 16) for address in (local, remote))
        ends[inode] = "visitor" if here == port and there else known.get(there, "socket")
    return ends


def memory(site: Site) -> int:
    """Return the serving process's resident memory in bytes."""
    status = Path(f"/proc/{site.process.pid}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])
