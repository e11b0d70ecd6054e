"""A database that an earlier version of the site filled, opened by this one: nothing is lost, refused or renamed."""

import csv
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest

from tests.accounts.entra.tenant import Tenant
from tests.accounts.entra.visitor import Visitor
from tests.conftest import connection
from tests.endpoint import Endpoint
from tests.screen import Screen
from tests.site import PASSWORD, Person, Site, manage, migrate, read_rows
from tests.upgrade.stored import (
    SECRET_KEY,
    Stored,
    answers,
    columns,
    conversation,
    execute,
    give_reason,
    is_signed_in,
    kind,
    load,
    log,
    signed_in,
    transcript,
    with_password,
)

CONTENT_TYPES = "select id, app_label || '_' || model from django_content_type"
PERMISSIONS = "select id, content_type_id, codename from auth_permission"
GRANTED = "select group_id, permission_id from auth_group_permissions"
THOUGHT, ANSWER = "The decimals decide. So it is 9.8.", "It is **9.8** of the two."


def command(url: str, *arguments: str) -> CompletedProcess[str]:
    return manage(*arguments, DATABASE_URL=url, SECRET_KEY=SECRET_KEY)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("upgrade")
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    url = server.create_database() if server else f"sqlite:///{folder}/stored.sqlite3"
    load(url)
    permissions, granted = (set(read_rows(url, query)) for query in (PERMISSIONS, GRANTED))
    before = (columns(url), dict(read_rows(url, CONTENT_TYPES)), permissions, granted)
    migrate(url)
    return Stored(url, *before, server, folder)


@pytest.fixture
def copy(stored: Stored, request: pytest.FixtureRequest) -> str:
    """A copy of the migrated database, for this test to change."""
    return stored.copy(re.sub(r"\W+", "-", request.node.name))


@pytest.fixture(scope="module")
def tenant() -> Iterator[Tenant]:
    with closing(Tenant()) as tenant:
        yield tenant


@pytest.fixture(scope="module")
def site(stored: Stored, tenant: Tenant) -> Iterator[Site]:
    """The site, serving a copy of the migrated database."""
    endpoint = Endpoint()
    site = Site(stored.copy("site"), SECRET_KEY=SECRET_KEY, **connection(endpoint), **tenant.variables)
    yield site
    site.kill()
    endpoint.close()


@pytest.fixture
def owner(site: Site) -> Iterator[Person]:
    with closing(signed_in(site, "owner")) as owner:
        yield owner


# What is stored


def test_the_migrations_lead_to_the_models():
    made = command("sqlite://:memory:", "makemigrations", "--check", "--dry-run")
    assert made.returncode == 0, made.stdout


def test_the_audit_trail_is_whole(stored: Stored):
    verified = command(stored.url, "verify_audit", "--log", str(log(stored.url)))
    assert (verified.returncode, verified.stderr) == (0, "")


def test_a_changed_row_and_rows_cut_off_the_audit_trail_are_found(copy: str):
    [(last,)] = read_rows(copy, "select max(number) from conversations_auditentry")
    allow = ["drop trigger audit_refuses_update", "drop trigger audit_refuses_delete"]
    if kind(copy) == "postgresql":
        allow = ["alter table conversations_auditentry disable trigger audit_refuses_changes"]
    changed = "update conversations_auditentry set note = 'Ticket 8' where number = 7"
    execute(copy, *allow, changed, "delete from conversations_auditentry where number > 9")
    verified = command(copy, "verify_audit", "--log", str(log(copy)))
    assert verified.returncode == 1
    assert set(re.findall(r"\d+", verified.stderr)) == {"7", "10", str(last)}


def test_the_audit_trail_refuses_changes(copy: str):
    for change in ("update conversations_auditentry set note = ''", "delete from conversations_auditentry"):
        with pytest.raises((sqlite3.DatabaseError, psycopg.DatabaseError), match="append-only"):
            execute(copy, change)


def test_tables_and_columns_keep_their_names(stored: Stored):
    assert ("conversations_auditentry", "mac") in stored.columns
    assert stored.columns - columns(stored.url) == set()


def test_permissions_and_content_types_are_the_same(stored: Stored):
    content_types, permissions = dict(read_rows(stored.url, CONTENT_TYPES)), set(read_rows(stored.url, PERMISSIONS))
    assert set(read_rows(stored.url, GRANTED)) == stored.granted
    assert stored.permissions - permissions == set()
    assert set(stored.content_types) - set(content_types) == set()
    # What is new belongs to new tables. A content type may get its model's new name; a second one would be a duplicate.
    new_tables = {table for table, _ in columns(stored.url)} - {table for table, _ in stored.columns}
    added = set(content_types) - set(stored.content_types)
    assert {content_types[pk] for pk in added} <= new_tables
    assert {content_type for _, content_type, _ in permissions - stored.permissions} <= added


def test_the_site_has_an_id_of_its_own(stored: Stored, database_template: Path):
    query = "select id, uuid from conversations_site"
    [(pk, uuid)] = read_rows(stored.url, query)
    [(_, other)] = read_rows(f"sqlite:///{database_template}", query)
    assert (pk, len(str(uuid).replace("-", ""))) == (1, 32)
    assert str(uuid).replace("-", "") != other


def test_the_tokens_of_stored_answers_are_counted(stored: Stored):
    ended = read_rows(
        stored.url,
        "select owner_id, finished_at, model, prompt_tokens, answer_tokens, reasoning_tokens"
        " from conversations_generation where finished_at is not null and prompt_tokens is not null",
    )
    expected: dict[tuple[object, ...], list[int]] = {}
    for owner, finished_at, model, *tokens in ended:
        sums = expected.setdefault((owner, str(finished_at)[:10], model), [0, 0, 0])
        sums[:] = [total + (number or 0) for total, number in zip(sums, tokens, strict=True)]
    counted = read_rows(
        stored.url,
        "select user_id, day, model, input_tokens, output_tokens, reasoning_tokens from conversations_dailyusage",
    )
    assert {(user, str(day), model): tokens for user, day, model, *tokens in counted} == expected
    assert expected


# What people find


def test_the_site_is_ready(site: Site, owner: Person):
    assert owner.http.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("title", "status", "answer"),
    [
        ("Which is greater?", "complete", "It is 9.8 of the two."),
        ("Be long", "complete", "9.8, as a long list and its end."),
        ("Be filtered", "filtered", "It is 9.8 of the two."),
        ("Fail", "failed", ""),
        ("Be stopped", "stopped", "It is 9.8 of the two."),
        ("Be interrupted", "interrupted", "It is 9.8 of the two."),
    ],
)
def test_the_owner_sees_each_conversation(site: Site, owner: Person, title: str, status: str, answer: str):
    path = conversation(site, title)
    assert path in owner.http.get("/").text
    screen = Screen(owner.http.get(path).text)
    assert (screen.text("title"), screen.statuses, screen.answer) == (title, [status], answer)


def test_the_owner_reads_the_reasoning(site: Site, owner: Person):
    screen = Screen(owner.http.get(conversation(site, "Which is greater?")).text)
    pk = screen.newest.attributes["id"].removeprefix("message-")
    assert THOUGHT in owner.http.get(f"/messages/{pk}/reasoning/").text


def test_the_owner_goes_back_to_an_earlier_version(site: Site, owner: Person):
    path = conversation(site, "Which is greater?")
    assert asked(owner, path) == "Which is greater, 9.11 or 9.8?"
    [earlier] = other_versions(owner, path)
    owner.post(f"/messages/{earlier}/select/")
    assert asked(owner, path) == "Which is greater?"
    assert len(other_versions(owner, path)) == 2  # the edited prompt, and the first answer to this one


def asked(owner: Person, path: str) -> str:
    """Return the prompt that a conversation shows first."""
    screen = Screen(owner.http.get(path).text)
    return screen.text(screen.articles[0].attributes["id"].replace("message", "answer"))


def other_versions(owner: Person, path: str) -> set[str]:
    """Return the ids of the messages that a conversation shows on request."""
    return set(re.findall(r"/messages/(\d+)/select/", owner.http.get(path).text))


def test_the_owner_finds_words(site: Site, owner: Person):
    path = conversation(site, "Be long")
    assert f"{path}?message=" in owner.http.get("/search/?q=long+list").text
    assert f"{path}?message=" not in owner.http.get("/search/?q=short+list").text


def test_the_owner_keeps_preferences_ratings_and_feedback(site: Site, owner: Person):
    screen = Screen(owner.http.get(conversation(site, "Be long")).text)
    pk = screen.newest.attributes["id"].removeprefix("message-")
    assert screen.page.find(f"bad-{pk}").attributes["aria-pressed"] == "true"
    assert 'data-theme="dark"' in owner.http.get("/").text
    [(reported,)] = site.rows("select message_id from conversations_feedback where rating = 'report'")
    assert "It is wrong." in owner.http.get(f"/messages/{reported}/feedback/").text


def test_the_owner_is_told_of_reviews_but_not_of_those_held_back(site: Site, owner: Person):
    told = owner.http.get("/reviews/").text
    assert conversation(site, "Be long") in told
    assert conversation(site, "Which is greater?") not in told


def test_what_a_legal_hold_keeps_is_not_deleted_and_what_it_kept_is(site: Site, owner: Person):
    held, released = (conversation(site, title) for title in ("Which is greater?", "Be deleted"))
    for path in (held, released):
        owner.post(f"{path}delete/")
    assert [owner.http.get(path).status_code for path in (held, released)] == [200, 404]


def test_passwords_hold(site: Site):
    for name, may_enter in (("owner", True), ("deactivated", False)):
        with closing(with_password(site, name, PASSWORD)) as person:
            assert is_signed_in(person) is may_enter
    with closing(with_password(site, "owner", "a wrong one")) as person:
        assert not is_signed_in(person)


def test_stored_sessions_are_listed_with_their_owners(stored: Stored):
    owner = "select username from conversations_user u join conversations_usersession s on s.user_id = u.id"
    for name in ("owner", "reviewer", "admin"):
        assert read_rows(stored.url, f"{owner} where session_key = ?", f"session-of-{name}") == [(name,)]


def test_sessions_hold(site: Site):
    for name, may_enter in (("owner", True), ("reviewer", True), ("deactivated", False)):
        with closing(signed_in(site, name)) as person:
            assert is_signed_in(person) is may_enter


def test_somebody_of_the_tenant_comes_back_to_their_account(site: Site, tenant: Tenant):
    accounts = site.rows("select id from conversations_user order by id")
    with Visitor(site) as visitor:
        assert not visitor.is_signed_in
        visitor.sign_in()
        assert visitor.is_signed_in
    assert site.rows("select id from conversations_user order by id") == accounts


# What reviewers and administrators find


def test_a_reviewer_opens_a_transcript_and_that_is_added_to_the_trail(site: Site, tmp_path: Path):
    path = transcript(conversation(site, "Which is greater?"))
    [(answer,)] = site.rows("select message_id from conversations_feedback where rating = 'good'")
    with closing(signed_in(site, "reviewer")) as reviewer:
        give_reason(reviewer)
        shown = reviewer.http.get(f"{path}?reasoning={answer}")
        assert shown.status_code == 200
        assert THOUGHT in shown.text
        assert "9.11 or 9.8" in shown.text
        assert "Lists" in reviewer.http.get("/admin/conversations/conversation/queue/").text
    now = tmp_path / "now.log"
    now.write_text("".join(site.lines))
    assert "audit head" in now.read_text()
    verified = site.manage("verify_audit", "--log", str(log(site.database_url)), "--log", str(now))
    assert (verified.returncode, verified.stderr) == (0, "")


def test_a_limited_reviewer_stays_limited(site: Site):
    with closing(signed_in(site, "limited")) as limited:
        give_reason(limited)
        assert limited.http.get(transcript(conversation(site, "Which is greater?"))).status_code == 404
        assert limited.http.get("/admin/conversations/conversation/").status_code == 200


def test_an_administrator_administers_and_does_not_review(site: Site):
    with closing(signed_in(site, "admin")) as admin:
        for table in ("legalhold", "rule", "user", "auditentry"):
            assert admin.http.get(f"/admin/conversations/{table}/").status_code == 200
        assert admin.http.get(transcript(conversation(site, "Which is greater?"))).status_code == 403


def test_the_figures_tell_of_days_that_were_counted(site: Site):
    [(day,)] = site.rows("select max(day) from conversations_dayofuse")
    with closing(signed_in(site, "reviewer")) as reviewer:
        sent = reviewer.http.get(f"/admin/conversations/conversation/figures/days.csv?since={day}&until={day}")
    assert list(csv.reader(sent.text.splitlines()))[1:] == [[str(day), "1", "1", "0", "0"]]


# What was running. Last, as it takes as long as a worker must be silent to be taken for dead.


def test_what_a_dead_worker_left_is_ended_or_answered(site: Site, owner: Person):
    site.await_rows(
        "select 1 where not exists"
        " (select 1 from conversations_generation where status in ('queued', 'thinking', 'answering'))"
    )
    anew = ("complete", "Let me think. Both are decimals.", "**9.8** is greater than 9.11.")
    assert answers(site, "Think on") == [("interrupted", "The decimals decide. ", ""), anew]
    assert answers(site, "Answer on") == [("interrupted", THOUGHT, ANSWER)]
    assert answers(site, "Say nothing") == [anew]
    assert answers(site, "Wait for a slot") == [anew]
    assert site.rows("select 1 from conversations_chunk") == []
    # And it goes on.
    used = "select sum(input_tokens + reasoning_tokens + output_tokens) from conversations_dailyusage"
    [(before,)] = site.rows(used)
    path = conversation(site, "Answer on")
    owner.ask("And now?", path)
    assert [status for status, *_ in owner.await_end(path)] == ["interrupted", "complete"]
    assert site.rows(used) == [(before + 12 + 20 + 10,)]
