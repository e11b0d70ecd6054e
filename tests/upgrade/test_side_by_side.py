"""An old replica and a new one side by side, as in the minutes of an upgrade: on one database and one Redis.

The old one runs the code of `HISTORY`, from this repository's own history, with today's packages. Its names on Redis do
not depend on the site, so the two hear each other through the database alone: at once where they ask it, a second late
where they read it regularly, and after a reload where only an event would have told an open page.
"""

import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.conftest import connection
from tests.endpoint import Endpoint, Exchange
from tests.parts import HISTORY
from tests.screen import Screen, Tab
from tests.services import PostgreSQL, Redis
from tests.site import PASSWORD, WAIT, Person, Site, manage, migrate
from tests.upgrade.stored import (
    SECRET_KEY,
    conversation,
    execute,
    give_reason,
    is_signed_in,
    load,
    log,
    signed_in,
    transcript,
    with_password,
)

pytestmark = [pytest.mark.postgresql, pytest.mark.redis, pytest.mark.history]
NOTHING_RUNS = (
    "delete from conversations_chunk",
    "update conversations_generation set status = 'stopped', slot = null, worker_id = null"
    " where status in ('queued', 'thinking', 'answering')",
    "delete from conversations_worker",
)


def last_question(exchange: Exchange) -> str:
    # One without an answer is sent together with the next.
    return exchange.body["messages"][-1]["content"].splitlines()[-1]


async def respond(exchange: Exchange) -> None:
    """Think, and answer when the test opens the gate that is named like the prompt."""
    prompt = last_question(exchange)
    await exchange.reason(f"{prompt}, I think. ")
    await exchange.gate(prompt)
    await exchange.answer(f"{prompt}, I say.")
    await exchange.finish()


class OldSite(Site):
    """The site as the code at `root` serves it."""

    def __init__(self, root: Path, database_url: str, **variables: object) -> None:
        self.root = root
        super().__init__(database_url, **variables)


class Replicas:
    """An old and a new replica, and the endpoint that both ask. Migrations ran while the old one was answering."""

    def __init__(self, old_code: Path, database_url: str, redis_url: str, stack: ExitStack) -> None:
        self.endpoint = Endpoint()
        stack.callback(self.endpoint.close)
        self.endpoint.respond = respond
        self._numbers = count(1)
        self._workers: dict[Site, int] = {}
        variables = connection(self.endpoint) | {"REDIS_URL": redis_url, "SECRET_KEY": SECRET_KEY}
        variables |= {"USER_CONCURRENCY": 100}
        self.old = OldSite(old_code, database_url, **variables)
        stack.callback(lambda: self.old.process.poll() is None and self.old.kill())
        self.register(self.old)
        self.during_migration = _, prompt = self.ask(self.old)
        migrate(database_url)
        self.endpoint.open(prompt)
        self.new = Site(database_url, **variables)
        stack.callback(self.new.kill)
        self.register(self.new)

    def register(self, site: Site) -> None:
        """Note which worker is that of the site that has just started."""
        [(self._workers[site],)] = site.rows("select max(id) from conversations_worker")

    def other(self, site: Site) -> Site:
        return self.new if site is self.old else self.old

    def ask(self, site: Site) -> tuple[str, str]:
        """Have the owner ask what this replica runs; return the conversation's path and the prompt.

        Both replicas hear of a prompt and the quicker claims it: then it is asked again.
        """
        with closing(signed_in(site, "owner")) as owner:
            while True:
                prompt = f"Question {next(self._numbers)}"
                asked = owner.ask(prompt)
                self.endpoint.await_reached(prompt)
                query = "select worker_id from conversations_generation where id = ?"
                if site.rows(query, self.newest(prompt)) == [(self._workers[site],)]:
                    return asked, prompt
                self.endpoint.open(prompt)
                owner.await_end(asked)

    def newest(self, prompt: str) -> int:
        """Return the id of the generation that answers a prompt."""
        query = (
            "select g.id from conversations_generation g join conversations_message m on m.id = g.message_id"
            " join conversations_message asked on asked.id = m.parent_id where asked.content = ?"
        )
        [(pk,)] = self.old.rows(query, prompt)
        return pk

    def exchange(self, prompt: str) -> Exchange:
        return next(e for e in self.endpoint.exchanges if last_question(e) == prompt)


@pytest.fixture(scope="module")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the old replica, with its static files collected."""
    folder = tmp_path_factory.mktemp("old")
    archive = HISTORY.git("archive", "--format=zip", HISTORY.id)
    assert archive.returncode == 0, archive.stderr
    zipfile.ZipFile(io.BytesIO(archive.stdout)).extractall(folder)
    collected = manage("collectstatic", "--no-input", root=folder, DATABASE_URL="sqlite://:memory:")
    assert collected.returncode == 0, collected.stderr
    return folder


@pytest.fixture(scope="module")
def replicas(old_code: Path, postgresql: PostgreSQL, redis_server: Redis) -> Iterator[Replicas]:
    url = postgresql.create_database()
    load(url)
    execute(url, *NOTHING_RUNS)
    with ExitStack() as stack:
        yield Replicas(old_code, url, redis_server.url, stack)


@pytest.fixture(params=["old", "new"])
def here(request: pytest.FixtureRequest, replicas: Replicas) -> Site:
    """One of the replicas; then the other."""
    return getattr(replicas, request.param)


@pytest.fixture
def there(here: Site, replicas: Replicas) -> Site:
    return replicas.other(here)


@pytest.fixture
def visitor(there: Site) -> Iterator[Person]:
    """The owner, at the other replica."""
    with closing(signed_in(there, "owner")) as visitor:
        yield visitor


def test_an_answer_that_runs_while_migrations_are_applied_is_whole(replicas: Replicas):
    path, prompt = replicas.during_migration
    with closing(signed_in(replicas.old, "owner")) as owner:
        assert owner.await_end(path) == [("complete", "", f"{prompt}, I think. ", f"{prompt}, I say.")]


def test_a_viewer_at_the_other_replica_sees_committed_text_and_the_outcome(
    replicas: Replicas, here: Site, visitor: Person
):
    path, prompt = replicas.ask(here)
    with Tab(visitor, path) as tab:
        tab.read_until(lambda tab: tab.reasoning == f"{prompt}, I think. ")
        assert not is_live(tab)
        replicas.endpoint.open(prompt)
        tab.read_until(lambda tab: tab.statuses == ["complete"])
        assert tab.answer == f"{prompt}, I say."
    check(tab, visitor, path)


def is_live(tab: Tab) -> bool:
    """Return whether an answer comes from the replica that runs it, not from the database.

    The mark that says so has had two names.
    """
    marks = [element.attributes for element in tab.page.find("messages").elements()]
    return any(mark.get(name) == "live" for mark in marks for name in ("data-feed", "data-source"))


def check(tab: Tab, person: Person, path: str) -> None:
    """Check that a page shows what a fresh one does. The markup of an old one is not that which `Tab.check` knows."""
    fresh = Screen(person.http.get(path).text)
    assert (tab.statuses, tab.answer, tab.missed) == (fresh.statuses, fresh.answer, [])


def test_a_page_of_one_replica_goes_on_at_the_other(replicas: Replicas, here: Site, there: Site):
    path, prompt = replicas.ask(there)
    with closing(signed_in(here, "owner")) as loaded_from, closing(signed_in(there, "owner")) as connected_to:
        with Tab(loaded_from, path, connected_to) as tab:
            tab.read_until(lambda tab: tab.reasoning == f"{prompt}, I think. ")
            replicas.endpoint.open(prompt)
            tab.read_until(lambda tab: tab.statuses == ["complete"])
            assert tab.answer == f"{prompt}, I say."
        # A page can do without the mark that says where a live text comes from, and without the meter of the context.
        assert {key.partition("-")[0] for key in tab.missed} <= {"feed", "source", "context"}


def test_a_prompt_that_waits_behind_the_other_replicas_answer_is_answered_after_it(
    replicas: Replicas, here: Site, visitor: Person
):
    path, prompt = replicas.ask(here)
    visitor.ask("And then?", path)
    with Tab(visitor, path) as tab:
        assert tab.statuses[-2:] == ["thinking", "queued"]
        for name in (prompt, "And then?"):
            replicas.endpoint.open(name)
        tab.read_until(lambda tab: tab.statuses[-2:] == ["complete", "complete"])
    check(tab, visitor, path)


def test_stop_at_the_other_replica_ends_an_answer(replicas: Replicas, here: Site, visitor: Person):
    path, prompt = replicas.ask(here)
    assert visitor.post(f"/generations/{replicas.newest(prompt)}/stop/").status_code == 302
    assert replicas.exchange(prompt).closed_by_client.wait(WAIT)
    assert visitor.await_end(path)[-1] == ("stopped", "", f"{prompt}, I think. ", "")


def test_a_new_name_shows_on_the_other_replicas_pages_when_they_are_loaded(here: Site, visitor: Person):
    renamed, beside = (conversation(here, title) for title in ("Be filtered", "Fail"))
    listed = f"listed-title-{renamed.split('/')[2]}"
    with closing(signed_in(here, "owner")) as owner:
        for title in ("Renamed", "Be filtered"):
            owner.post(f"{renamed}rename/", title=title)
            assert Screen(visitor.http.get(renamed).text).text("title") == title
            assert Screen(visitor.http.get(beside).text).text(listed) == title


def test_signing_out_ends_the_session_at_the_other_replica(here: Site, there: Site, replicas: Replicas):
    with (
        closing(with_password(here, "owner", PASSWORD)) as leaving,
        closing(leaving.at(there)) as watching,
        watching.socket(conversation(there, "Fail")) as socket,
    ):
        leaving.post("/accounts/logout/")
        assert not is_signed_in(watching)
        if there is replicas.new:  # an old one checks its sockets when their pages change
            with pytest.raises(ConnectionClosed):
                read_to_the_end(socket)


def test_the_new_replica_counts_the_tokens_of_its_own_answers(replicas: Replicas, here: Site):
    used = "select coalesce(sum(input_tokens + reasoning_tokens + output_tokens), 0) from conversations_dailyusage"
    path, prompt = replicas.ask(here)
    [(before,)] = here.rows(used)
    replicas.endpoint.open(prompt)
    with closing(signed_in(here, "owner")) as owner:
        owner.await_end(path)
    assert here.rows(used) == [(before + (42 if here is replicas.new else 0),)]


def read_to_the_end(socket: ClientConnection) -> None:
    """Read until the socket closes; raise TimeoutError if it stays open."""
    deadline = time.monotonic() + WAIT
    while True:
        socket.recv(timeout=deadline - time.monotonic())


def test_both_add_to_one_audit_trail_and_verify_it(replicas: Replicas, tmp_path: Path):
    path = transcript(conversation(replicas.old, "Which is greater?"))
    for site in (replicas.old, replicas.new, replicas.old):
        with closing(signed_in(site, "reviewer")) as reviewer:
            give_reason(reviewer)
            assert reviewer.http.get(path).status_code == 200
    logs = [log(replicas.old.database_url)]
    for name, site in (("old", replicas.old), ("new", replicas.new)):
        logs.append(tmp_path / f"{name}.log")
        logs[-1].write_text("".join(site.lines))
        assert "audit head" in logs[-1].read_text()
    for site in (replicas.old, replicas.new):
        verified = site.manage("verify_audit", *(option for file in logs for option in ("--log", str(file))))
        assert (verified.returncode, verified.stderr) == (0, "")


def test_the_old_one_leaves_questions_with_files_to_the_new_one(replicas: Replicas):
    """Its code would answer them without the files, and cannot be changed: the database keeps it from claiming them."""
    old, new, endpoint, question = replicas.old, replicas.new, replicas.endpoint, "What is the secret?"
    path, prompt = replicas.ask(old)
    with closing(signed_in(new, "owner")) as owner:
        file = owner.upload("notes.txt", b"The secret is 42.").json()["id"]
        owner.ask(question, path, attachment=file)
    assert new.stop() == 0
    with closing(signed_in(old, "owner")) as owner:
        endpoint.open(prompt)
        ended = "select 1 from conversations_generation where id = ? and status = 'complete'"
        old.await_rows(ended, replicas.newest(prompt))
        other, without_file = replicas.ask(old)
        endpoint.open(without_file)
        assert [status for status, *_ in owner.await_end(other)] == ["complete"]
        assert [status for status, *_ in owner.answers(path)] == ["complete", "queued"]
    new.start()
    replicas.register(new)
    endpoint.await_reached(question)
    assert "The secret is 42." in replicas.exchange(question).body["messages"][-1]["content"]
    endpoint.open(question)
    with closing(signed_in(new, "owner")) as owner:
        assert [status for status, *_ in owner.await_end(path)] == ["complete", "complete"]


def test_the_old_one_drains_while_the_new_one_goes_on(replicas: Replicas):
    old, new, endpoint = replicas.old, replicas.new, replicas.endpoint
    drained, cut = replicas.ask(old)
    going_on, prompt = replicas.ask(new)
    after = f"After {cut}"
    with closing(signed_in(new, "owner")) as owner:
        owner.ask(after, drained)
        with Tab(owner, drained) as tab, Tab(owner, going_on) as other_tab:
            tab.read_until(lambda tab: f"{cut}, I think." in tab.shown())
            assert old.stop() == 0
            endpoint.await_reached(after)  # asked by the new one
            for name in (after, prompt):
                endpoint.open(name)
            # Over the same sockets: one that drains closes its own alone.
            tab.read_until(lambda tab: tab.statuses == ["interrupted", "complete"])
            other_tab.read_until(lambda tab: tab.statuses == ["complete"])
        assert owner.answers(drained)[0][2:] == (f"{cut}, I think. ", "")
    # Nothing that happened since keeps the old one from coming back.
    old.start()
    replicas.register(old)
    path, prompt = replicas.ask(old)
    endpoint.open(prompt)
    with closing(signed_in(old, "owner")) as owner:
        assert [status for status, *_ in owner.await_end(path)] == ["complete"]
