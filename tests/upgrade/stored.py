"""The databases that are kept beside this file, and what is in them; README.md says how they were made."""

import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.services import PostgreSQL
from tests.site import CSRF_SECRET, Person, Site, read_rows

HERE = Path(__file__).parent
SECRET_KEY = "k" * 50  # signed the audit trail and the sessions


def kind(database_url: str) -> str:
    return "sqlite" if database_url.startswith("sqlite") else "postgresql"


def load(database_url: str) -> None:
    """Fill an empty database with the stored one of its kind."""
    statements = (HERE / f"{kind(database_url)}.sql").read_text()
    if kind(database_url) == "sqlite":
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as database:
            database.executescript(statements)
    else:
        with psycopg.connect(database_url) as database:
            database.execute(statements)


def log(database_url: str) -> Path:
    """Return the log of the site that filled the stored database of this kind."""
    return HERE / f"{kind(database_url)}.log"


def execute(database_url: str, *statements: str) -> None:
    """Change a database behind the site's back, as the owner of its tables."""
    if kind(database_url) == "sqlite":
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=20)) as database, database:
            for statement in statements:
                database.execute(statement)
    else:
        with psycopg.connect(database_url) as database:
            for statement in statements:
                database.execute(statement)


def signed_in(site: Site, name: str) -> Person:
    """Return somebody of the stored database with the session that is stored there."""
    return Person(site, name, {"sessionid": f"session-of-{name}", "csrftoken": CSRF_SECRET})


def with_password(site: Site, name: str, password: str) -> Person:
    """Return somebody who has just tried to sign in with their password."""
    person = Person(site, name, {})
    person.post("/accounts/login/", login=name, password=password)
    return person


def is_signed_in(person: Person) -> bool:
    return person.http.get("/").status_code == 200


def conversation(site: Site, title: str) -> str:
    """Return the path of the conversation with this title."""
    [(key,)] = site.rows("select id from conversations_conversation where title = ?", title)
    return f"/conversations/{uuid.UUID(str(key))}/"


def transcript(path: str) -> str:
    """Return where reviewers read the conversation at `path`."""
    return f"/admin/conversations/conversation/{path.split('/')[2]}/transcript/"


def give_reason(reviewer: Person) -> None:
    given = reviewer.post("/admin/conversations/conversation/reason/", reason="Safety", note="")
    assert given.status_code == 302, given.text


def answers(site: Site, title: str) -> list[tuple[Any, ...]]:
    """Return (status, reasoning, content) of each generation in the conversation with this title."""
    return site.rows(
        "select g.status, m.reasoning, m.content from conversations_generation g"
        " join conversations_message m on m.id = g.message_id"
        " join conversations_conversation c on c.id = g.conversation_id where c.title = ? order by g.id",
        title,
    )


def columns(url: str) -> set[tuple[str, str]]:
    """Return (table, column) of all that the database has."""
    if kind(url) == "sqlite":
        query = "select t.name, c.name from sqlite_master t, pragma_table_info(t.name) c where t.type = 'table'"
    else:
        query = "select table_name, column_name from information_schema.columns where table_schema = 'public'"
    return set(read_rows(url, query))


@dataclass(frozen=True)
class Stored:
    """The stored database, migrated; and what it was before."""

    url: str  # to be read, and copied
    columns: set[tuple[str, str]]
    content_types: dict[int, str]  # the table that a model of this name has by default
    permissions: set[tuple[int, int, str]]
    granted: set[tuple[int, int]]
    postgresql: PostgreSQL | None
    folder: Path

    def copy(self, name: str) -> str:
        """Return the URL of a copy of the migrated database."""
        if self.postgresql:
            return self.postgresql.create_database(self.url.rpartition("/")[2])
        path = self.folder / f"{name}.sqlite3"
        path.write_bytes(Path(self.url.removeprefix("sqlite:///")).read_bytes())
        return f"sqlite:///{path}"
