"""The reason, the transcript and what is written down before they are shown."""

from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from conversations.models import Conversation, Message
from conversations.review import audit
from conversations.review.models import CASE_DURATION, AuditAction, AuditEntry, Case
from tests.factories import person
from tests.review.people import planted, somebody

pytestmark = pytest.mark.django_db
WORDS = {"title": "The title", "prompt": "Why?", "answer": "Because.", "version": "So.", "reasoning": "Let me think."}
REASON = "/admin/conversations/conversation/reason/"


@pytest.fixture
def conversation() -> Conversation:
    return planted(person("owner"), **WORDS)


@pytest.fixture
def transcript(conversation: Conversation) -> str:
    return f"/admin/conversations/conversation/{conversation.pk}/transcript/"


@pytest.fixture
def reviewer(client: Client) -> Client:
    client.force_login(somebody("reader with reasoning"))
    return client


def begin(client: Client, **fields: str) -> None:
    assert client.post(REASON, {"reason": "Safety", "note": "Ticket 7"} | fields).status_code == 302


def acts() -> list[tuple[str, str, str]]:
    return list(
        AuditEntry.objects.exclude(act=AuditAction.GRANTED).order_by("number").values_list("act", "reason", "note")
    )


def test_a_reason_is_asked_for_before_any_content_and_then_not_again(reviewer: Client, transcript: str):
    asked = reviewer.get(transcript)
    assert asked.status_code == 302
    assert asked.headers["Location"] == f"{REASON}?next={quote(transcript, safe='')}"
    assert acts() == []
    form = reviewer.get(asked.headers["Location"]).content.decode()
    assert "Safety" in form
    assert WORDS["title"] not in form
    assert reviewer.post(REASON, {"reason": "Curiosity", "next": transcript}).status_code == 200  # not in the list
    assert reviewer.post(REASON, {"reason": "Safety", "next": transcript}).headers["Location"] == transcript
    for _ in range(2):
        assert WORDS["answer"] in reviewer.get(transcript).content.decode()
    assert acts() == [("case", "Safety", ""), ("opened", "Safety", ""), ("opened", "Safety", "")]


def test_a_reason_holds_for_a_day_or_until_it_is_ended(reviewer: Client, transcript: str):
    begin(reviewer)
    assert reviewer.get(transcript).status_code == 200
    reviewer.post(f"{REASON}end/")
    assert reviewer.get(transcript).status_code == 302
    begin(reviewer)
    assert reviewer.get(transcript).status_code == 200
    Case.objects.update(begun_at=timezone.now() - CASE_DURATION)
    assert reviewer.get(transcript).status_code == 302


def test_after_a_reason_nobody_is_sent_to_another_site(reviewer: Client):
    answer = reviewer.post(REASON, {"reason": "Safety", "next": "//evil.example/"})
    assert answer.headers["Location"] == "/admin/conversations/conversation/"


def test_without_its_row_in_the_trail_nothing_is_shown(
    reviewer: Client, transcript: str, monkeypatch: pytest.MonkeyPatch
):
    begin(reviewer)

    def refuse(*_args) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(audit.AuditEntry.objects, "bulk_create", refuse)
    with pytest.raises(DatabaseError, match="the disk is full"):
        reviewer.get(transcript)


def test_what_the_model_thought_is_shown_on_asking_and_written_down(
    reviewer: Client, transcript: str, conversation: Conversation
):
    begin(reviewer)
    folded = reviewer.get(transcript).content.decode()
    assert WORDS["reasoning"] not in folded
    assert f"{transcript}?reasoning={conversation.leaf_id}#message-{conversation.leaf_id}" in folded
    assert WORDS["reasoning"] in reviewer.get(f"{transcript}?reasoning={conversation.leaf_id}").content.decode()
    row = AuditEntry.objects.get(act=AuditAction.REASONING)
    assert (row.conversation_id, row.message_id) == (conversation.pk, conversation.leaf_id)


def test_what_the_model_thought_needs_a_permission_of_its_own(
    client: Client, transcript: str, conversation: Conversation
):
    client.force_login(somebody("reader"))
    begin(client)
    page = client.get(f"{transcript}?reasoning={conversation.leaf_id}").content.decode()
    assert WORDS["answer"] in page
    assert WORDS["reasoning"] not in page
    assert "?reasoning=" not in page
    assert not AuditEntry.objects.filter(act=AuditAction.REASONING).exists()


def test_a_link_to_a_message_shows_the_version_it_is_in(reviewer: Client, transcript: str):
    begin(reviewer)
    page = reviewer.get(transcript).content.decode()
    assert WORDS["answer"] in page
    assert WORDS["version"] not in page
    other = Message.objects.get(content=WORDS["version"])
    assert f"?message={other.pk}#message-{other.pk}" in page
    page = reviewer.get(f"{transcript}?message={other.pk}").content.decode()
    assert WORDS["version"] in page
    assert WORDS["answer"] not in page


@pytest.mark.parametrize("message", ["0", "x", "-1", "99999999999999999999999"])
def test_a_link_to_no_message_is_not_found(reviewer: Client, transcript: str, message: str):
    begin(reviewer)
    assert reviewer.get(f"{transcript}?message={message}").status_code == 404
    assert ("opened", "Safety", "Ticket 7") not in acts()


def test_a_limited_reviewer_finds_the_members_of_named_groups_alone(
    client: Client, transcript: str, conversation: Conversation
):
    client.force_login(somebody("scoped reviewer"))
    begin(client)
    listed = "/admin/conversations/conversation/"
    assert client.get(transcript).status_code == 404
    assert str(conversation.pk) not in client.get(listed).content.decode()
    conversation.owner.groups.add(Group.objects.get(name="Another group"))
    assert client.get(transcript).status_code == 200
    assert str(conversation.pk) in client.get(listed).content.decode()
    Group.objects.get(name="Another group").delete()
    assert client.get(transcript).status_code == 404  # a group that is gone widens nothing


def test_a_transcript_tells_of_earlier_reviews(reviewer: Client, transcript: str):
    begin(reviewer)
    assert "Earlier reviews" not in reviewer.get(transcript).content.decode()
    assert "Earlier reviews" in reviewer.get(transcript).content.decode()
