"""Fill a database by using the site as people do, and write it down as SQL beside this file, with the site's log.

Run it with another checkout first on the path, to have that checkout's code make the files; README.md has the commands.
"""

import re
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from tests.accounts.entra.tenant import Tenant
from tests.accounts.entra.visitor import Visitor
from tests.endpoint import Endpoint, Exchange
from tests.ports import unused_port
from tests.services import PostgreSQL
from tests.site import Person, Site, migrate

HERE = Path(__file__).parent
ADMIN = "/admin/conversations"
SHADOW_TABLES = "conversations_message_search_%"
TRIM = "from conversations.review import audit; from django.utils import timezone; audit.trim(timezone.now())"


async def respond(exchange: Exchange) -> None:
    """Answer as the prompt says."""
    prompt = exchange.body["messages"][-1]["content"]
    if prompt == "Say nothing":
        await exchange.start()
        await exchange.gate(prompt)
    if prompt == "Fail":
        await exchange.fail(400, "invalid_request", "No.")
        return
    await exchange.reason("The decimals decide. ")
    if prompt == "Think on":
        await exchange.gate(prompt)
    await exchange.reason("So it is 9.8.")
    if prompt.startswith("Your answer was cut off"):
        await exchange.answer(" and its end.")
    else:
        await exchange.answer("**9.8**, as a long list" if prompt == "Be long" else "It is **9.8** of the two.")
    if prompt in ("Answer on", "Be stopped", "Be interrupted"):
        await exchange.gate(prompt)
    await exchange.finish({"Be long": "length", "Be filtered": "content_filter"}.get(prompt, "stop"))


class Story:
    """The people of a site, and what they do there, one step after the other."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self.endpoint = Endpoint()
        self.endpoint.respond = respond
        self.tenant = Tenant()
        self.log: list[str] = []
        migrate(database_url)

    def start(self) -> None:
        model = {"OPENAI_BASE_URL": self.endpoint.base_url, "OPENAI_MODEL": "test-model", "OPENAI_API_KEY": "key"}
        self.site = Site(self.url, DRAIN_SECONDS=0, RETAIN_CONVERSATIONS_DAYS=30, **model, **self.tenant.variables)

    def command(self, *arguments: str) -> str:
        ended = self.site.manage(*arguments)
        assert ended.returncode == 0, ended.stderr
        self.log += ended.stderr.splitlines(keepends=True)
        return ended.stdout

    def execute(self, statement: str, *arguments: object) -> None:
        """Change the database behind the site's back."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=20)) as database, database:
                database.execute(statement, arguments)
        else:
            with psycopg.connect(self.url) as database:
                database.execute(statement.replace("?", "%s"), arguments)

    def one(self, query: str, *arguments: object) -> object:
        [(value,)] = self.site.rows(query, *arguments)
        return value

    def newest(self, what: str) -> int:
        return self.one(f"select max(id) from conversations_{what}")  # noqa: S608  (a name of ours)

    def join(self, name: str, address: int) -> Person:
        person = Person(self.site, name)
        person.http.headers["X-Forwarded-For"] = f"2001:db8::{address}"
        return person

    def get(self, person: Person, path: str) -> None:
        answer = person.http.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"

    def post(self, person: Person, path: str, **fields: object) -> None:
        answer = person.post(path, **fields)
        assert answer.status_code == 302, f"{path}: {answer.status_code}: {answer.text}"

    def change(self, name: str, **fields: object) -> None:
        """Have the administrator change an account."""
        user = self.one("select id from conversations_user where username = ?", name)
        joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
        known = {"username": name, "email": f"{name}@example.org", "is_active": "on", **joined, **fields}
        kept = {field: value for field, value in known.items() if value is not None}
        self.post(self.admin, f"{ADMIN}/user/{user}/change/", **kept)

    def run(self) -> None:
        self.start()
        self.people()
        self.conversations()
        self.review()
        self.interrupted()
        self.left_by_a_dead_worker()

    def people(self) -> None:
        password = re.search(r"password: (\S+)", self.command("first_administrator"))[1]
        self.admin = Person(self.site, "admin", {})
        self.admin.http.headers["X-Forwarded-For"] = "2001:db8::1"
        self.post(self.admin, "/accounts/login/", login="admin", password=password)
        names = ("owner", "reviewer", "limited", "deactivated")
        self.owner, self.reviewer, self.limited, self.gone = [self.join(name, n) for n, name in enumerate(names, 2)]
        group = self.one("select id from auth_group where name = 'Reviewer'")
        self.change("limited", is_staff="on", groups=[group], review_limited="on", review_groups=[group])
        self.command("shell", "--no-imports", "--command", TRIM)
        self.change("reviewer", is_staff="on", groups=[group])
        self.gone.ask("What will become of this?")
        self.change("deactivated", is_active=None)
        self.owner.post("/preferences/", theme="dark", reasoning="always")
        with Visitor(self.site) as visitor:
            visitor.sign_in()

    def conversations(self) -> None:
        owner = self.owner
        rule = {"name": "Lists", "words": "long list", "outcome": "", "percent": "100", "active": "on"}
        self.post(self.admin, f"{ADMIN}/rule/add/", **rule)
        self.first = owner.ask("Which is greater?")
        owner.await_end(self.first)
        answer = self.newest("message")
        self.post(owner, f"/messages/{answer}/feedback/", rating="report", comment="It is wrong.")
        self.post(owner, f"/messages/{answer}/regenerate/")
        owner.await_end(self.first)
        self.post(owner, f"/messages/{answer - 1}/edit/", content="Which is greater, 9.11 or 9.8?")
        owner.await_end(self.first)
        self.post(owner, f"/messages/{self.newest('message')}/rate/", rating="good")
        self.long = owner.ask("Be long")
        owner.await_end(self.long)
        self.post(owner, f"/messages/{self.newest('message')}/continue/")
        owner.await_end(self.long)
        self.post(owner, f"/messages/{self.newest('message')}/feedback/", rating="bad", comment="", shared="on")
        for prompt in ("Be filtered", "Fail"):
            owner.await_end(owner.ask(prompt))
        stopped = owner.ask("Be stopped")
        self.site.await_rows("select 1 from conversations_chunk where kind = 'answer'")
        self.post(owner, f"/generations/{self.newest('generation')}/stop/")
        owner.await_end(stopped)

    def review(self) -> None:
        transcript = f"{ADMIN}/conversation/{self.first.split('/')[2]}/transcript/"
        answer = self.one("select max(message_id) from conversations_feedback where rating = 'good'")
        reason = {"reason": "Complaint", "note": "Ticket 7"}
        self.post(self.reviewer, f"{ADMIN}/conversation/reason/", **reason)
        self.get(self.reviewer, f"{transcript}?reasoning={answer}")
        self.get(self.reviewer, f"{ADMIN}/conversation/search/?q=greater")
        self.reviewer.post(f"{ADMIN}/conversation/find/export/?outcome=length", form="jsonl")
        self.post(self.reviewer, f"{ADMIN}/conversation/holds/", days="9", why="An inquiry")
        self.post(self.limited, f"{ADMIN}/conversation/holds/{self.newest('case')}/")
        self.get(self.reviewer, f"{ADMIN}/conversation/queue/")  # the rule looks for what it finds
        reported = self.one("select min(id) from conversations_item")
        self.post(self.reviewer, f"{ADMIN}/conversation/queue/{reported}/take/")
        # The next one is taken then, and stays taken.
        self.post(self.reviewer, f"{ADMIN}/conversation/queue/{reported}/resolve/", verdict="poor", note="Checked")
        # Under another reason than the one whose notice is held back.
        self.get(self.reviewer, f"{ADMIN}/conversation/{self.long.split('/')[2]}/transcript/")
        user = self.one("select id from conversations_user where username = 'deactivated'")
        self.post(self.admin, f"{ADMIN}/legalhold/add/", user=user, reason="Order 1")
        deletable = self.owner.ask("Be deleted")
        self.owner.await_end(deletable)
        for conversation, number in ((self.first, 2), (deletable, 3)):
            about = {"conversation": conversation.split("/")[2], "reason": f"Order {number}"}
            self.post(self.admin, f"{ADMIN}/legalhold/add/", **about)
        lifted = {**about, "lifted_at_0": "2026-01-02", "lifted_at_1": "00:00:00"}
        self.post(self.admin, f"{ADMIN}/legalhold/{self.newest('legalhold')}/change/", **lifted)
        pruned = self.reviewer.ask("Be pruned")
        self.reviewer.await_end(pruned)
        change = "update conversations_conversation set updated_at = ? where title = ?"
        self.execute(change, "2026-01-02 03:04:05", "Be pruned")
        self.command("prune")
        yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
        change = "update conversations_generation set created_at = ? where status = ?"
        self.execute(change, f"{yesterday} 12:00:00", "filtered")
        period = f"since={yesterday - timedelta(days=1)}&until={yesterday}"
        self.get(self.reviewer, f"{ADMIN}/conversation/figures/?{period}")

    def interrupted(self) -> None:
        self.owner.ask("Be interrupted")
        self.site.await_rows("select 1 from conversations_chunk where kind = 'answer'")
        self.site.stop()
        self.log += self.site.lines
        self.start()

    def left_by_a_dead_worker(self) -> None:
        owner = self.owner.at(self.site)
        thinking = owner.ask("Think on")
        owner.ask("Answer on")
        for text in ("The decimals decide. ", "It is **9.8** of the two."):
            self.site.await_rows("select 1 from conversations_chunk where text = ?", text)
        owner.ask("Say nothing")
        self.endpoint.await_reached("Say nothing")
        owner.ask("Wait behind", thinking)
        owner.ask("Wait for a slot")
        self.site.kill()
        self.log += self.site.lines
        self.outlast()

    def outlast(self) -> None:
        """Let last what would be over after some days, and name each session after its person."""
        far = "2100-01-01 00:00:00"
        self.execute("update django_session set expire_date = ?", far)
        self.execute("update conversations_case set hold_until = ? where hold_days = ?", far, 9)
        self.execute("delete from cache where cache_key not like ?", "%:login:%")
        for person in (self.admin, self.owner, self.reviewer, self.limited, self.gone):
            change = "update django_session set session_key = ? where session_key = ?"
            self.execute(change, f"session-of-{person.name}", person.http.cookies["sessionid"])

    def close(self) -> None:
        self.tenant.close()
        self.endpoint.close()


def dump_sqlite(path: Path) -> str:
    """Return the whole database as SQL. The index of words is rebuilt from the messages, not copied."""
    lines = []
    with closing(sqlite3.connect(path)) as database:
        made = "select type, name, sql from sqlite_master where name not like ? and name not like 'sqlite_%'"
        made = [row for row in database.execute(f"{made} order by rowid", [SHADOW_TABLES]) if row[2]]
        lines += [sql for kind, _, sql in made if kind == "table"]
        for _, name, sql in made:
            if sql.startswith("CREATE TABLE"):
                columns = [f'quote("{column}")' for _, column, *_ in database.execute(f'pragma table_info("{name}")')]
                row = " || ',' || ".join(columns)
                rows = database.execute(f'select {row} from "{name}"').fetchall()  # noqa: S608  (names of the schema)
                if rows:
                    values = ",\n".join(f"({row})" for (row,) in rows)
                    lines.append(f'INSERT INTO "{name}" VALUES\n{values}')
        lines += [sql for kind, _, sql in made if kind in ("index", "trigger")]
    search = SHADOW_TABLES.removesuffix("_%")
    lines.append(f"INSERT INTO {search} ({search}) VALUES ('rebuild')")  # noqa: S608
    return "".join(f"{line};\n" for line in lines)


def dump_postgresql(url: str) -> str:
    """Return the whole database as SQL, without what is psql's own."""
    options = ["--no-owner", "--no-privileges", "--no-comments", "--rows-per-insert=100"]
    dumped = subprocess.run([shutil.which("pg_dump"), *options, url], check=True, capture_output=True, text=True)
    kept = [line for line in dumped.stdout.splitlines() if line and not line.startswith(("--", "\\", "SET "))]
    identities = r" \(\n    SEQUENCE NAME [^)]*\)"  # whose names and steps are the default
    return re.sub(identities, "", "\n".join(kept)) + "\n"


def write(name: str, dump: str, log: list[str]) -> None:
    """Write the database, and the log without what else the site printed: messages by e-mail."""
    (HERE / f"{name}.sql").write_text(dump)
    (HERE / f"{name}.log").write_text("".join(line for line in log if re.match(r"\d{4}-\d\d-\d\d ", line)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db.sqlite3"
        story = Story(f"sqlite:///{path}")
        story.run()
        write("sqlite", dump_sqlite(path), story.log)
        story.close()
    server = PostgreSQL(unused_port())
    story = Story(server.create_database())
    story.run()
    write("postgresql", dump_postgresql(story.url), story.log)
    story.close()
    server.stop()


if __name__ == "__main__":
    main()
