"""Ask, follow and stop, with the limits of the pages."""

import uuid

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from conversations import limits
from conversations.generation import commit
from conversations.models import Attachment, Conversation, Generation, Message, User
from conversations.views.api import stream
from tests.api.conftest import Api
from tests.factories import claimed, person, queued, unsent


def test_a_question_starts_a_conversation(api: Api, ada: User, django_assert_max_num_queries):
    api.get("")
    with django_assert_max_num_queries(18):
        response = api.post("conversations/", {"content": "Which is greater,\r\n9.8 or 9.11?"})
    assert response.status_code == 201
    asked, generation = response.json(), Generation.objects.get()
    assert response.headers["Location"] == f"/api/v1/generations/{generation.pk}/"
    assert asked["conversation"] == str(generation.conversation_id)
    assert (asked["question"], asked["answer"]) == (generation.message.parent_id, generation.message_id)
    assert asked["generation"]["status"] == "queued"
    assert asked["stream"] == f"/api/v1/generations/{generation.pk}/stream/"
    assert generation.owner == ada
    assert generation.message.prompt.content == "Which is greater,\n9.8 or 9.11?"


def test_a_question_goes_on_with_a_conversation(api: Api, ada: User):
    first = queued(ada)
    asked = api.post(f"conversations/{first.conversation_id}/messages/", {"content": "And?"}).json()
    assert Message.objects.get(pk=asked["question"]).parent_id == first.message_id
    assert Conversation.objects.count() == 1


def test_a_resend_with_the_same_key_changes_nothing(api: Api):
    question = {"content": "Why?", "key": str(uuid.uuid4())}
    first, second = api.post("conversations/", question), api.post("conversations/", question)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Generation.objects.count() == 1


def test_a_key_of_somebody_else_is_not_known(api: Api):
    key = uuid.uuid4()
    theirs = queued(person("bob"))
    Generation.objects.filter(pk=theirs.pk).update(key=key)
    asked = api.post("conversations/", {"content": "Why?", "key": str(key)}).json()
    assert asked["generation"]["id"] != theirs.pk


def test_files_are_uploaded_and_sent(api: Api, ada: User, django_assert_num_queries):
    file = unsent(ada)
    stored = api.post("conversations/", {"content": "What does it say?", "attachments": [str(file.pk)]})
    assert stored.status_code == 201
    file.refresh_from_db()
    assert file.message_id == stored.json()["question"]
    again = api.post("conversations/", {"content": "What does it say?", "attachments": [str(file.pk)]})
    assert (again.status_code, again.json()["code"]) == (422, "refused")
    theirs = unsent(person("bob"))
    assert api.post("conversations/", {"content": "?", "attachments": [str(theirs.pk)]}).status_code == 422


def test_an_upload_is_read_and_refused_like_on_the_page(api: Api):
    assert django_settings.UPLOAD_PATHS.fullmatch("/api/v1/attachments/")
    uploaded = api.upload("attachments/", file=SimpleUploadedFile("notes.txt", b"The secret is 42."))
    assert uploaded.status_code == 201, uploaded.content
    assert uploaded.json()["name"] == "notes.txt"
    assert Attachment.objects.get(pk=uploaded.json()["id"]).owner.username == "ada"
    refused = api.upload("attachments/", file=SimpleUploadedFile("x.bin", b"\0\1\2"))
    assert (refused.status_code, refused.json()["code"]) == (422, "refused")
    assert api.upload("attachments/", other="x").status_code == 415
    assert api.upload("attachments/", file="x").status_code == 415
    assert api.post("attachments/", {}).status_code == 415
    assert api.post("attachments/", b"x", "multipart/form-data; boundary=").status_code in (400, 415)


def test_too_many_waiting_questions_are_refused(api: Api, ada: User):
    for number in range(limits.QUEUED_PROMPTS):
        queued(ada, f"Question {number}")
    refused = api.post("conversations/", {"content": "One more?"})
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert "10 questions waiting" in refused.json()["detail"]
    assert not Message.objects.filter(content="One more?").exists()


def test_the_tokens_of_the_day_are_kept_and_the_response_says_until_when(api: Api, settings):
    settings.USER_DAILY_TOKENS = 1
    refused = api.post("conversations/", {"content": "Why?"})
    assert (refused.status_code, refused.json()["code"]) == (429, "daily_limit")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert not Message.objects.exists()


def test_stored_text_is_limited(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "STORED_BYTES", 100)
    refused = api.post("conversations/", {"content": "x" * 101})
    assert (refused.status_code, refused.json()["code"]) == (422, "refused")
    assert "Delete conversations" in refused.json()["detail"]


def test_an_answer_can_be_polled(api: Api, ada: User, django_assert_num_queries):
    worker, claim = claimed(ada)
    generation = Generation.objects.get()
    path = f"generations/{generation.pk}/"
    api.get(path)
    with django_assert_num_queries(6):
        assert api.get(path).json()["content"] == ""
    commit.finish(worker.pk, claim, commit.Result("complete", "because", "Yes."), {})
    with django_assert_num_queries(4):
        answer = api.get(f"{path}?reasoning=true").json()
    assert (answer["content"], answer["reasoning"], answer["generation"]["status"]) == ("Yes.", "because", "complete")
    assert "reasoning" not in api.get(path).json()


def test_an_answer_can_be_stopped(api: Api, ada: User, django_assert_num_queries):
    generation = queued(ada)
    stopped = api.post(f"generations/{generation.pk}/stop/")
    assert stopped.status_code == 202
    assert stopped.json()["generation"]["status"] == "stopped"
    assert api.post(f"generations/{generation.pk}/stop/").status_code == 202


def test_the_head_of_a_stream_starts_none(api: Api, ada: User):
    response = api.head(f"generations/{queued(ada).pk}/stream/")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert not stream.open_streams


def test_a_deleted_conversation_takes_no_question(api: Api, ada: User, client: Client):
    first = queued(ada)
    path = f"conversations/{first.conversation_id}/messages/"
    first.conversation.delete()
    assert api.post(path, {"content": "And?"}).status_code == 404
