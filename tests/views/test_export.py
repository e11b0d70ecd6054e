"""Exports of a conversation: what is in them, in every form, and that only its owner gets them."""

import gc
import hashlib
import json
from pathlib import Path

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import BadRequest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from jsonschema import Draft202012Validator

from conversations import actions
from conversations.export import BATCH
from conversations.models import Conversation, Generation, Message, Rating, Role, Status, User
from conversations.views.export_parts import open_exports
from tests.factories import attached, person, queued
from tests.review.factories import make_conversation

pytestmark = pytest.mark.django_db
SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs/export.schema.json").read_text()),
    format_checker=Draft202012Validator.FORMAT_CHECKER,
)
WORDS = {
    "title": "On “decimals” / 9.11",
    "prompt": "Which is greater?\n\n# <b>",
    "answer": "**9.8** \u202e",
    "version": "9.11!",
    "reasoning": "Let me think.",
    "instructions": "Be brief.",
}


@pytest.fixture
def owner() -> User:
    return person()


@pytest.fixture
def conversation(owner: User) -> Conversation:
    return make_conversation(owner, **WORDS)


@pytest.fixture
def reader(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def exported(reader: Client, conversation: Conversation, query: str) -> str:
    response = reader.get(f"{conversation.get_absolute_url()}export/?{query}")
    assert response.status_code == 200
    return b"".join(response.streaming_content).decode()


def test_json_has_all_that_is_stored(reader: Client, conversation: Conversation):
    answer = Message.objects.get(pk=conversation.leaf_id)
    actions.rate(message=answer, rating=Rating.GOOD)
    found = json.loads(exported(reader, conversation, "as=json&versions=all"))
    SCHEMA.validate(found)
    assert found["id"] == str(conversation.pk)
    assert found["title"] == WORDS["title"]
    assert found["instructions"] == WORDS["instructions"]
    assert found["shown_up_to"] == answer.pk
    stored = list(Message.objects.order_by("pk").values_list("pk", "parent", "role", "content", "reasoning"))
    fields = ("id", "parent", "role", "content", "reasoning")
    assert [tuple(message[name] for name in fields) for message in found["messages"]] == stored
    assert {WORDS[name] for name in ("prompt", "answer", "version")} <= {content for *_, content, _ in stored}
    [rated] = [message for message in found["messages"] if message["rating"]]
    assert (rated["id"], rated["rating"]) == (answer.pk, "good")
    generation = Generation.objects.get(message=answer)
    assert rated["generations"][0]["status"] == generation.status
    assert rated["generations"][0]["created_at"] == generation.created_at.isoformat()


def test_reasoning_and_other_versions_can_be_left_out(reader: Client, conversation: Conversation):
    found = json.loads(exported(reader, conversation, "as=json&reasoning=0"))
    SCHEMA.validate(found)
    assert [message["id"] for message in found["messages"]] == conversation.tree().path_to(conversation.leaf_id)
    for form in ("json", "md"):
        text = exported(reader, conversation, f"as={form}&reasoning=0")
        assert WORDS["reasoning"] not in text
        assert WORDS["version"] not in text
        assert WORDS["reasoning"] in exported(reader, conversation, f"as={form}")
        assert WORDS["version"] in exported(reader, conversation, f"as={form}&versions=all")


def test_markdown_is_for_people(reader: Client, conversation: Conversation):
    text = exported(reader, conversation, "as=md&versions=all")
    assert text.startswith(f"# {WORDS['title']}\n\n## Question 1\n\n{WORDS['prompt']}\n\nFiles:\n\n- notes.txt (")
    assert ")\n\n## Answer 1, version 1 of 2\n" in text
    assert f"### Reasoning\n\n{WORDS['reasoning']}\n\n### Answer\n\n" in text


def test_the_files_of_a_question_are_listed_without_their_content(reader: Client, owner: User):
    conversation = queued(owner).conversation
    attached(conversation.messages.earliest("pk"), "The secret is 42.", "notes.txt")
    sha256 = hashlib.sha256(b"The secret is 42.").hexdigest()
    text = exported(reader, conversation, "as=json")
    SCHEMA.validate(found := json.loads(text))
    listed = [message["attachments"] for message in found["messages"]]
    assert listed == [[{"name": "notes.txt", "type": "text/plain", "size": 17, "sha256": sha256}], []]
    markdown = exported(reader, conversation, "as=md")
    assert f"Why?\n\nFiles:\n\n- notes.txt (text/plain, 17 bytes, SHA-256 {sha256})\n" in markdown
    assert "The secret" not in text + markdown
    page = reader.get(conversation.get_absolute_url()).text
    assert f'<span class="file-hash">SHA-256 {sha256}</span>' in page  # for print


def test_the_file_has_a_name_that_every_system_takes(reader: Client, conversation: Conversation):
    response = reader.head(f"{conversation.get_absolute_url()}export/?as=md")
    assert response.headers["Content-Disposition"] == 'attachment; filename="On decimals 9 11.md"'
    Conversation.objects.filter(pk=conversation.pk).update(title='"/.."')
    response = reader.head(f"{conversation.get_absolute_url()}export/?as=json")
    assert response.headers["Content-Disposition"] == 'attachment; filename="Conversation.json"'


def test_an_answer_that_is_being_written_is_exported_too(reader: Client, owner: User):
    conversation = actions.send_message(user=owner, content="Why?").conversation
    found = json.loads(exported(reader, conversation, "as=json"))
    SCHEMA.validate(found)
    assert [message["content"] for message in found["messages"]] == ["Why?", ""]
    assert found["messages"][1]["generations"][0]["status"] == Status.QUEUED


def test_the_page_asks_how_to_export(reader: Client, conversation: Conversation):
    page = reader.get(f"{conversation.get_absolute_url()}export/")
    assert "Export this conversation" in page.text
    assert reader.get(f"{conversation.get_absolute_url()}export/?as=exe").status_code == 400
    assert f"{conversation.get_absolute_url()}export/" in reader.get(conversation.get_absolute_url()).text


@pytest.mark.parametrize("query", ["", "?as=json", "?as=md"])
def test_nobody_else_gets_it(client: Client, conversation: Conversation, query: str):
    url = f"{conversation.get_absolute_url()}export/{query}"
    assert client.get(url).status_code == 302
    client.force_login(person("eve"))
    assert client.get(url).status_code == 404


def test_a_person_downloads_a_few_exports_at_a_time(reader: Client, conversation: Conversation):
    url = f"{conversation.get_absolute_url()}export/"
    many = {"do": "export", "conversation": [conversation.pk], "next": "/conversations/"}
    opened = [reader.get(f"{url}?as={form}") for form in ("json", "html")]
    opened.append(reader.post("/conversations/selected/", many))
    assert "You are downloading 3 exports already." in reader.get(f"{url}?as=md", follow=True).text
    assert "You are downloading 3 exports already." in reader.post("/conversations/selected/", many, follow=True).text
    other = make_conversation(person("eve"))
    client = Client()
    client.force_login(other.owner)
    assert exported(client, other, "as=md")
    for response in opened:
        assert response.getvalue()
    assert not open_exports
    assert exported(reader, conversation, "as=md")


def test_an_export_that_an_error_replaces_is_no_longer_open(
    reader: Client, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
):
    opened = []

    def fail(*_: object) -> None:
        opened.append(open_exports.total())
        raise BadRequest

    monkeypatch.setattr(SessionMiddleware, "process_response", fail)
    assert reader.get(f"{conversation.get_absolute_url()}export/?as=json").status_code == 400
    gc.collect()
    assert (opened, open_exports.total()) == ([1], 0)


def test_the_number_of_queries_grows_by_batches(reader: Client, conversation: Conversation):
    with CaptureQueriesContext(connection) as few:
        exported(reader, conversation, "as=json&versions=all")
    more = [Message(conversation=conversation, role=Role.USER, content="?") for _ in range(2 * BATCH)]
    Message.objects.bulk_create(more)
    with CaptureQueriesContext(connection) as many:
        assert exported(reader, conversation, "as=json&versions=all").count('"content": "?"') == 2 * BATCH
    assert len(many) - len(few) <= 3 * 2
