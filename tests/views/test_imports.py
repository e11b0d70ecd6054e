"""The page to import conversations, and how pages show what was imported."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from conversations.importing import import_file
from conversations.models import Conversation, Message, Role, User
from conversations.models.permissions import EXPORT, LIST, READ
from conversations.review.models import AuditEntry
from tests.factories import person
from tests.importing.files import as_json, chatgpt, open_webui
from tests.review.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def reader(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def conversation(ada: User) -> Conversation:
    import_file(user=ada, file=as_json(open_webui()))
    return ada.conversations.get()


def send(client: Client, content: bytes, **fields: str) -> str:
    file = SimpleUploadedFile("conversations.json", content)
    return client.post("/import/", {"file": file, **fields}).text


def test_the_page_imports_and_reports(reader: Client, ada: User):
    assert 'type="file"' in reader.get("/import/").text
    content = json.dumps([chatgpt(), {"title": "<Notes>"}]).encode()
    preview = send(reader, content, preview="1")
    assert "To import: 1 conversation with 6 messages and 0 files, from ChatGPT" in preview
    assert not Conversation.objects.exists()
    report = send(reader, content)
    assert "Imported: 1 conversation with 6 messages and 0 files, from ChatGPT" in report
    assert "Skipped: 1" in report
    assert "&lt;Notes&gt;</span>: It is not a conversation that this site can read." in report
    assert "Left out, tool calls: 1" in report
    assert "Already here, and left as they are: 1" in send(reader, content)
    assert ada.conversations.get().title in reader.get("/conversations/").text


def test_a_file_that_cannot_be_imported_gives_a_sentence(reader: Client):
    response = reader.post("/import/", {"file": SimpleUploadedFile("a.json", b"hello")})
    assert (response.status_code, "The file is not valid JSON." in response.text) == (422, True)
    assert "Choose a file." in reader.post("/import/").text


def test_importing_requires_signing_in(client: Client):
    response = client.post("/import/", {"file": SimpleUploadedFile("a.json", b"[]")})
    assert response.status_code == 302
    assert "/login/" in response.headers["Location"]


def test_a_page_says_that_it_was_imported_and_does_not_offer_to_continue(reader: Client, conversation: Conversation):
    page = reader.get(conversation.get_absolute_url()).text
    assert "Imported from Open WebUI on " in page
    assert "<span>Imported · r1</span>" in page
    assert "regenerate/" in page
    assert "continue/" not in page


def test_details_and_other_pages_of_an_imported_answer(reader: Client, conversation: Conversation):
    answer, other = Message.objects.filter(role=Role.ASSISTANT).order_by("pk")
    details = reader.get(f"/messages/{answer.pk}/details/").text
    assert "It was not generated here" in details
    assert "<dd>r1</dd>" in details
    assert "Outcome" not in details
    compared = reader.get(f"/messages/{answer.pk}/compare/{other.pk}/").text
    assert "Imported · r1" in compared
    reading = reader.get(f"/messages/{answer.pk}/reasoning/")
    assert (reading.status_code, "Imported · r1" in reading.text) == (200, True)
    assert "Decimals" in reader.get("/search/?q=9.11").text
    for form in ("md", "html"):
        response = reader.get(f"{conversation.get_absolute_url()}export/?as={form}")
        text = b"".join(response.streaming_content).decode()
        assert "Imported · r1" in text
        assert "complete" not in text


def test_an_answer_that_the_file_does_not_have_is_offered_to_be_asked_for(reader: Client, ada: User):
    import_file(user=ada, file=as_json(chatgpt()))
    page = reader.get(ada.conversations.get().get_absolute_url()).text
    assert "What was imported has no answer here." in page
    assert "retry/" in page


def test_reviewers_see_what_was_imported_and_figures_do_not_count_it(client: Client, conversation: Conversation):
    reviewer = make_user("exporter")
    assert reviewer is not None
    assert {LIST, READ, EXPORT} <= {codename.rpartition(".")[2] for codename in reviewer.review_permissions}
    client.force_login(reviewer)
    client.post("/admin/conversations/conversation/reason/", {"reason": "Safety"})
    page = client.get(f"/admin/conversations/conversation/{conversation.pk}/transcript/").text
    assert "from Open WebUI" in page
    assert "<span>imported</span>" in page
    assert AuditEntry.objects.filter(act="opened", conversation_id=conversation.pk).exists()
    assert client.get("/admin/conversations/conversation/").status_code == 200
    assert client.get("/admin/conversations/conversation/figures/").status_code == 200


def test_the_printed_page_has_reasoning_only_if_asked_for(reader: Client, conversation: Conversation):
    url = f"{conversation.get_absolute_url()}export/?as=html&versions=all"
    page = b"".join(reader.get(url).streaming_content).decode()
    assert "Is 9.8 &lt; 9.11?" in page
    assert "Answer 1, version 2 of 2" in page
    assert "css/printed" in page
    assert "Is 9.8" not in b"".join(reader.get(f"{url}&reasoning=0").streaming_content).decode()
