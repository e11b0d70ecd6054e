"""What may be exported is, as a stream with a manifest; each conversation in it is written down and its owner told."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from conversations.models import Conversation, Generation, User
from conversations.models.permissions import REASONING
from conversations.review import audit, cases, export
from conversations.review.models import AuditAction, AuditEntry, Case
from conversations.review.selection import select
from tests.factories import person
from tests.review.people import planted, somebody
from tests.review.test_pages import WORDS

pytestmark = pytest.mark.django_db
EXPORT = "/admin/conversations/conversation/find/export/"


@pytest.fixture
def conversation() -> Conversation:
    return planted(person("owner"), **WORDS)


@pytest.fixture
def exporter() -> User:
    return somebody("exporter")


@pytest.fixture
def fetch() -> Callable[..., tuple[int, bytes]]:
    """Post as somebody to the export; return status and body."""

    def fetch(user: User, query: str, **fields: str) -> tuple[int, bytes]:
        client = Client()
        client.force_login(user)
        response = client.post(f"{EXPORT}?{query}", fields)
        return response.status_code, response.getvalue() if response.streaming else response.content

    return fetch


def begin(user: User) -> Case:
    return cases.begin(actor=audit.Actor(user), reason="Legal request", note="")


def unpack(body: bytes) -> tuple[str, dict[str, object]]:
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert archive.testzip() is None
    [name] = set(archive.namelist()) - {"manifest.json"}
    data, manifest = archive.read(name), json.loads(archive.read("manifest.json"))
    assert manifest["files"] == {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
    return data.decode(), manifest


def test_a_conversation_is_a_line_of_json(fetch: Callable, conversation: Conversation, exporter: User):
    begin(exporter)
    planted(person("other"), **WORDS)
    status, body = fetch(exporter, "owner=owner", form="jsonl", reasoning="on")
    text, manifest = unpack(body)
    assert status == 200
    [line] = text.splitlines()
    record = json.loads(line)
    assert (record["id"], record["owner"], record["title"]) == (str(conversation.pk), "owner", WORDS["title"])
    assert [message["content"] for message in record["messages"]] == ["Why?", "Because.", "So."]
    assert record["messages"][1]["generations"][0]["status"] == "complete"
    assert "reasoning" not in text.replace("reasoning_tokens", "")  # asked for, and not permitted
    assert manifest["criteria"] == {"owner": "owner"}
    assert (manifest["conversations"], manifest["messages"], manifest["reasoning"]) == (1, 3, False)
    assert manifest["case"]["reason"] == "Legal request"


def test_reasoning_is_its_own_field_for_who_may_read_it(fetch: Callable, conversation: Conversation, exporter: User):
    exporter.user_permissions.add(Permission.objects.get(codename=REASONING))
    begin(exporter)
    for fields, there in (({}, False), ({"reasoning": "on"}, True)):
        text, manifest = unpack(fetch(exporter, "", form="jsonl", **fields)[1])
        assert (WORDS["reasoning"] in text) == there
        assert manifest["reasoning"] == there
    assert json.loads(text)["messages"][1]["reasoning"] == WORDS["reasoning"]
    assert AuditEntry.objects.filter(act=AuditAction.REASONING, conversation_id=conversation.pk).count() == 1


def test_each_conversation_is_written_down_and_told(fetch: Callable, conversation: Conversation, exporter: User):
    begin(exporter)
    fetch(exporter, "outcome=complete", form="csv")
    whole, single = AuditEntry.objects.filter(act=AuditAction.EXPORTED).order_by("number")
    assert (whole.details["criteria"], whole.details["conversations_asked"]) == ({"outcome": "complete"}, 1)
    assert (single.owner_id, single.conversation_id) == (conversation.owner_id, conversation.pk)
    assert single.reason == "Legal request"
    assert single in AuditEntry.objects.visible_to_owner(conversation.owner_id)


@pytest.mark.parametrize("cell", ['=cmd|"/c calc"!A1', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_no_cell_is_a_formula(fetch: Callable, exporter: User, cell: str):
    planted(person("owner"), **(WORDS | {"answer": cell, "title": cell[:80]}))
    begin(exporter)
    text, _ = unpack(fetch(exporter, "", form="csv")[1])
    head, *rows = list(csv.reader(io.StringIO(text, newline="")))
    assert head[0] == "conversation"
    assert len(rows) == 3
    assert rows[1][head.index("content")] == f"'{cell}"
    assert not any(value.startswith(export.FORMULA) for row in rows for value in row)


def test_it_is_sent_while_it_is_read(exporter: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "BATCH", 2)
    owner = person("owner")
    ids = [planted(owner, **WORDS).pk for _ in range(5)]
    case = begin(exporter)
    pieces = export.archive(actor=audit.Actor(exporter), case=case, ids=ids, criteria={}, form="jsonl", reasoning=False)
    counts = [AuditEntry.objects.filter(act=AuditAction.EXPORTED).exclude(conversation_id=None).count() for _ in pieces]
    assert counts[:5] == [2, 2, 4, 4, 5]


@pytest.mark.parametrize(
    "role", ["user", "superuser", "list-only", "reader with reasoning", "exporter without reading"]
)
def test_an_export_needs_its_permission_and_that_to_read(fetch: Callable, conversation: Conversation, role: str):
    user = somebody(role)
    begin(user)
    assert fetch(user, "", form="jsonl")[0] in (302, 403)
    assert not AuditEntry.objects.filter(act=AuditAction.EXPORTED).exists()


def test_an_export_needs_a_reason_and_a_form_it_knows(fetch: Callable, conversation: Conversation, exporter: User):
    assert fetch(exporter, "owner=owner", form="jsonl")[0] == 302
    begin(exporter)
    assert fetch(exporter, "owner=owner", form="exe")[0] == 400
    assert fetch(exporter, "since=yesterday", form="csv")[0] == 400
    assert not AuditEntry.objects.filter(act=AuditAction.EXPORTED).exists()


def test_a_limited_reviewer_exports_their_field_alone(fetch: Callable, conversation: Conversation):
    user = somebody("scoped reviewer")
    begin(user)
    text, manifest = unpack(fetch(user, "", form="jsonl")[1])
    assert (text, manifest["conversations"]) == ("", 0)


def test_the_criteria_narrow_the_choice(conversation: Conversation):
    reviewer, now = somebody("reader"), conversation.updated_at
    group = reviewer.groups.create(name="Pilots")
    Generation.objects.filter(message=conversation.leaf_id).update(
        model="m1", prompt_tokens=7, started_at=now, finished_at=now
    )

    def found(**criteria: object) -> bool:
        return select(reviewer, criteria).filter(pk=conversation.pk).exists()

    met = {
        "owner": "owner",
        "since": now.date(),
        "until": now.date(),
        "model": "m1",
        "outcome": "complete",
        "tokens": 7,
    }
    assert found()
    assert found(**met, seconds=0)
    missed = {
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
    for name, value in missed.items():
        assert not found(**{name: value}), name
    conversation.owner.groups.add(group)
    assert found(group=group)
