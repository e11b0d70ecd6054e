"""Exports are streamed with a manifest; each conversation in one is recorded, and its owner can see that."""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from conversations.actions import save_instructions
from conversations.models import Conversation, Generation, Message, User
from conversations.models.permissions import EXPORT as EXPORT_PERMISSION
from conversations.models.permissions import REASONING
from conversations.rendering import outlines
from conversations.review import audit, cases, export
from conversations.review.filters import filter_conversations
from conversations.review.models import AuditAction, AuditEntry, Case
from tests.factories import person
from tests.review.factories import WORDS, make_conversation, make_user

pytestmark = pytest.mark.django_db
EXPORT = "/admin/conversations/conversation/find/export/"


@pytest.fixture
def conversation() -> Conversation:
    return make_conversation(person("owner"))


@pytest.fixture
def exporter() -> User:
    return make_user("exporter")


@pytest.fixture
def fetch() -> Callable[..., tuple[int, bytes]]:
    """Post to the export as a user; return status and body."""

    def fetch(user: User, query: str, **fields: str) -> tuple[int, bytes]:
        client = Client()
        client.force_login(user)
        response = client.post(f"{EXPORT}?{query}", fields)
        return response.status_code, response.getvalue() if response.streaming else response.content

    return fetch


def open_case(user: User) -> Case:
    return cases.open_case(actor=audit.Actor(user), reason="Legal request", note="")


def unpack(body: bytes) -> tuple[str, dict[str, object]]:
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert archive.testzip() is None
    [name] = set(archive.namelist()) - {"manifest.json"}
    data, manifest = archive.read(name), json.loads(archive.read("manifest.json"))
    assert manifest["files"] == {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
    return data.decode(), manifest


def test_in_jsonl_each_line_is_a_conversation(fetch: Callable, conversation: Conversation, exporter: User):
    open_case(exporter)
    make_conversation(person("other"))
    status, body = fetch(exporter, "owner=owner", form="jsonl", reasoning="on")
    text, manifest = unpack(body)
    assert status == 200
    [line] = text.splitlines()
    record = json.loads(line)
    assert (record["id"], record["owner"], record["title"]) == (str(conversation.pk), "owner", WORDS["title"])
    assert [message["content"] for message in record["messages"]] == ["Why?", "Because.", "So."]
    assert record["messages"][1]["generations"][0]["status"] == "complete"
    assert "reasoning" not in text.replace("reasoning_tokens", "")  # requested, but not permitted
    assert manifest["criteria"] == {"owner": "owner"}
    assert (manifest["conversations"], manifest["messages"], manifest["reasoning"]) == (1, 3, False)
    assert manifest["case"]["reason"] == "Legal request"


def test_reasoning_is_included_on_request_for_those_who_may_read_it(
    fetch: Callable, conversation: Conversation, exporter: User
):
    exporter.user_permissions.add(Permission.objects.get(codename=REASONING))
    Message.objects.filter(reasoning=WORDS["reasoning"]).update(
        outline=outlines.stored(outlines.build(WORDS["reasoning"], [(0, 0)]))
    )
    open_case(exporter)
    for fields, included in (({}, False), ({"reasoning": "on"}, True)):
        text, manifest = unpack(fetch(exporter, "", form="jsonl", **fields)[1])
        assert (WORDS["reasoning"] in text) == ('"outline"' in text) == included
        assert manifest["reasoning"] == included
    answer = json.loads(text)["messages"][1]
    assert answer["reasoning"] == WORDS["reasoning"]
    assert answer["outline"] == [{"start": 0, "label": "", "kind": "", "second": 0}]
    assert AuditEntry.objects.filter(act=AuditAction.REASONING, conversation_id=conversation.pk).count() == 1


def test_an_export_and_each_conversation_in_it_are_recorded(
    fetch: Callable, conversation: Conversation, exporter: User
):
    open_case(exporter)
    fetch(exporter, "outcome=complete", form="csv")
    summary, single = AuditEntry.objects.filter(act=AuditAction.EXPORTED).order_by("number")
    assert (summary.details["criteria"], summary.details["conversations_asked"]) == ({"outcome": "complete"}, 1)
    assert (single.owner_id, single.conversation_id) == (conversation.owner_id, conversation.pk)
    assert single.reason == "Legal request"
    assert single in AuditEntry.objects.visible_to_owner(conversation.owner_id)


@pytest.mark.parametrize("formula", ['=cmd|"/c calc"!A1', "+1", "-1", "@SUM(A1)", "＝1"])
def test_no_part_of_a_cell_is_a_formula_whatever_the_separator(formula: str):
    leads = ["", "Hello;", "Hello\t", "Hello|", "Hello ", "Hello\n", ';"', "\u00a0", "\r", ",'"]
    text = "".join(export.csv_line(["an id", lead + formula]) for lead in leads)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["an id", f"{lead}'{formula}"] for lead in leads]
    for separator in ",;\t| :":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            parts = [part for cell in row for part in re.split(r"[\r\n]", cell)]
            assert not any(part.strip().lstrip('"').startswith(tuple("=+-@＝＋－＠")) for part in parts)


def test_an_exported_title_and_answer_are_no_formulas(fetch: Callable, exporter: User):
    make_conversation(person("owner"), answer="Hello;=1+1", title="=1+1")
    open_case(exporter)
    text, _ = unpack(fetch(exporter, "", form="csv")[1])
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert {row[head.index("title")] for row in rows} == {"'=1+1"}
    assert rows[1][head.index("content")] == "Hello;'=1+1"


def test_what_is_no_formula_is_exported_as_it_is():
    values = ["2026-11-29T12:00:00+00:00", "a well-known name", "ada@example.org", "x=1", 7, None]
    assert list(csv.reader([export.csv_line(values)])) == [[*values[:4], "7", ""]]


def test_conversations_are_recorded_and_sent_in_batches(exporter: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "BATCH", 2)
    owner = person("owner")
    ids = [make_conversation(owner).pk for _ in range(5)]
    case = open_case(exporter)
    parts = export.stream_zip(
        actor=audit.Actor(exporter), case=case, ids=ids, criteria={}, file_format="jsonl", reasoning=False
    )
    counts = [AuditEntry.objects.filter(act=AuditAction.EXPORTED).exclude(conversation_id=None).count() for _ in parts]
    assert counts[:5] == [2, 2, 4, 4, 5]


@pytest.mark.parametrize(
    "role", ["user", "superuser", "list-only", "reader with reasoning", "exporter without reading"]
)
def test_an_export_needs_the_permissions_to_export_and_to_read(fetch: Callable, conversation: Conversation, role: str):
    user = make_user(role)
    open_case(user)
    assert fetch(user, "", form="jsonl")[0] in (302, 403)
    assert not AuditEntry.objects.filter(act=AuditAction.EXPORTED).exists()


def test_an_export_ends_when_its_reviewer_loses_a_permission(exporter: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "CHECK_SECONDS", 0)
    ids = [make_conversation(person(name)).pk for name in ("first", "second")]
    actor = audit.Actor(exporter)
    case = open_case(exporter)

    def export_both() -> Iterator[bytes]:
        return export.stream_zip(actor=actor, case=case, ids=ids, criteria={}, file_format="jsonl", reasoning=False)

    parts = export_both()
    first = next(parts)
    exporter.user_permissions.remove(Permission.objects.get(codename=EXPORT_PERMISSION))
    text, manifest = unpack(first + b"".join(parts))
    assert [json.loads(line)["owner"] for line in text.splitlines()] == ["first"]
    assert manifest["conversations"] == 1
    assert manifest["stopped"] == "The permission to export was withdrawn during the export."
    exporter.user_permissions.add(Permission.objects.get(codename=EXPORT_PERMISSION))
    text, manifest = unpack(b"".join(export_both()))
    assert len(text.splitlines()) == 2
    assert "stopped" not in manifest
    User.objects.filter(pk=exporter.pk).update(is_active=False)
    assert unpack(b"".join(export_both()))[0] == ""


@pytest.mark.parametrize("check_seconds", [0, 1_000])
def test_an_export_leaves_out_what_its_reviewer_may_not_review_any_more(
    exporter: User, monkeypatch: pytest.MonkeyPatch, check_seconds: int
):
    """Whether that is found within the only batch, or between two."""
    monkeypatch.setattr(export, "CHECK_SECONDS", check_seconds)
    monkeypatch.setattr(export, "BATCH", 1 if check_seconds else 100)
    pilots = Group.objects.create(name="Pilots")
    ids = [make_conversation(person(name)).pk for name in ("first", "pilot", "third", "fourth")]
    User.objects.get(username="pilot").groups.add(pilots)
    case = open_case(exporter)
    parts = export.stream_zip(
        actor=audit.Actor(exporter), case=case, ids=ids, criteria={}, file_format="jsonl", reasoning=False
    )
    first = next(parts)
    User.objects.filter(pk=exporter.pk).update(review_limited=True)
    exporter.review_groups.add(pilots)
    text, manifest = unpack(first + b"".join(parts))
    assert [json.loads(line)["owner"] for line in text.splitlines()] == ["first", "pilot"]
    assert (manifest["conversations"], manifest["left_out"]) == (2, 2)
    assert "stopped" not in manifest
    recorded = list(
        AuditEntry.objects.filter(act="exported").order_by("number").values_list("conversation_id", flat=True)
    )
    assert recorded == [None, *(ids[:2] if check_seconds else ids)]  # all that was read before the change


@pytest.mark.parametrize("check_seconds", [0, 1_000])
def test_an_export_ends_when_its_reviewer_is_not_staff_any_more(
    exporter: User, monkeypatch: pytest.MonkeyPatch, check_seconds: int
):
    monkeypatch.setattr(export, "CHECK_SECONDS", check_seconds)
    monkeypatch.setattr(export, "BATCH", 1)
    ids = [make_conversation(person(name)).pk for name in ("first", "second", "third")]
    case = open_case(exporter)
    parts = export.stream_zip(
        actor=audit.Actor(exporter), case=case, ids=ids, criteria={}, file_format="jsonl", reasoning=False
    )
    first = next(parts)
    User.objects.filter(pk=exporter.pk).update(is_staff=False)
    text, manifest = unpack(first + b"".join(parts))
    assert [json.loads(line)["owner"] for line in text.splitlines()] == ["first"]
    assert manifest["stopped"] == "The permission to export was withdrawn during the export."
    assert (manifest["conversations"], manifest["left_out"]) == (1, 2)


def test_an_export_needs_a_case_and_a_known_format(fetch: Callable, conversation: Conversation, exporter: User):
    assert fetch(exporter, "owner=owner", form="jsonl")[0] == 302
    open_case(exporter)
    assert fetch(exporter, "owner=owner", form="exe")[0] == 400
    assert fetch(exporter, "since=yesterday", form="csv")[0] == 400
    assert not AuditEntry.objects.filter(act=AuditAction.EXPORTED).exists()


def test_a_scoped_reviewer_exports_only_conversations_of_their_groups(fetch: Callable, conversation: Conversation):
    user = make_user("scoped reviewer")
    open_case(user)
    text, manifest = unpack(fetch(user, "", form="jsonl")[1])
    assert (text, manifest["conversations"]) == ("", 0)


def test_each_criterion_is_applied(conversation: Conversation):
    reviewer, now = make_user("reader"), conversation.updated_at
    group = reviewer.groups.create(name="Pilots")
    Generation.objects.filter(message=conversation.leaf_id).update(
        model="m1", prompt_tokens=7, started_at=now, finished_at=now
    )

    def is_found(**criteria: object) -> bool:
        return filter_conversations(reviewer, criteria).filter(pk=conversation.pk).exists()

    matching = {
        "owner": "owner",
        "since": now.date(),
        "until": now.date(),
        "model": "m1",
        "outcome": "complete",
        "tokens": 7,
    }
    assert is_found()
    assert is_found(**matching, seconds=0)
    others = {
        "owner": "somebody",
        "since": now.date().replace(year=now.year + 1),
        "until": now.date().replace(year=now.year - 1),
        "model": "m2",
        "outcome": "failed",
        "tokens": 8,
        "seconds": 1,
        "group": group,
        "verdict": "fine",
        "feedback": "good",
    }
    for name, value in others.items():
        assert not is_found(**{name: value}), name
    conversation.owner.groups.add(group)
    assert is_found(group=group)


def test_instructions_are_exported_with_the_answers_they_were_sent_with(
    fetch: Callable, conversation: Conversation, exporter: User
):
    save_instructions(user=conversation.owner, content="Never sent.")
    make_conversation(person("other"), everywhere="Of somebody else.")
    open_case(exporter)
    record = json.loads(unpack(fetch(exporter, "owner=owner", form="jsonl")[1])[0])
    found = {version["id"]: (version["for"], version["content"]) for version in record["instructions"]}
    assert list(found.values()) == [("user", WORDS["everywhere"]), ("conversation", WORDS["instructions"])]
    [sent] = record["messages"][1]["generations"]
    assert [sent["user_instructions_id"], sent["conversation_instructions_id"]] == list(found)
    text, _ = unpack(fetch(exporter, "owner=owner", form="csv")[1])
    rows = list(csv.DictReader(io.StringIO(text)))
    both = f"{WORDS['everywhere']}\n\n{WORDS['instructions']}"
    assert [row["instructions"] for row in rows] == ["", both, ""]
