"""Reviewers open a case before they read, and what they read is recorded before it is shown."""

import re
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.actions import save_instructions
from conversations.models import Conversation, Feedback, Generation, Message, Status
from conversations.review import audit
from conversations.review.models import CASE_DURATION, AuditAction, AuditEntry, Case
from tests.factories import person, queued
from tests.review.factories import WORDS, make_conversation, make_user

pytestmark = pytest.mark.django_db
REASON = "/admin/conversations/conversation/reason/"


@pytest.fixture
def conversation() -> Conversation:
    return make_conversation(person("owner"))


@pytest.fixture
def transcript(conversation: Conversation) -> str:
    return f"/admin/conversations/conversation/{conversation.pk}/transcript/"


@pytest.fixture
def reviewer(client: Client) -> Client:
    client.force_login(make_user("reader with reasoning"))
    return client


def open_case(client: Client, **fields: str) -> None:
    assert client.post(REASON, {"reason": "Safety", "note": "Ticket 7"} | fields).status_code == 302


def recorded() -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.exclude(act=AuditAction.PERMISSIONS_CHANGED).order_by("number")
    return list(entries.values_list("act", "reason", "note"))


def test_a_reason_is_required_once_before_any_content(reviewer: Client, transcript: str):
    redirect = reviewer.get(transcript)
    assert redirect.status_code == 302
    assert redirect.headers["Location"] == f"{REASON}?next={quote(transcript, safe='')}"
    assert recorded() == []
    form = reviewer.get(redirect.headers["Location"]).content.decode()
    assert "Safety" in form
    assert WORDS["title"] not in form
    assert reviewer.post(REASON, {"reason": "Curiosity", "next": transcript}).status_code == 200  # not in the list
    assert reviewer.post(REASON, {"reason": "Safety", "next": transcript}).headers["Location"] == transcript
    for _ in range(2):
        assert WORDS["answer"] in reviewer.get(transcript).content.decode()
    assert recorded() == [("case", "Safety", ""), ("opened", "Safety", ""), ("opened", "Safety", "")]


def test_a_case_lasts_until_it_is_closed_or_expires(reviewer: Client, transcript: str):
    open_case(reviewer)
    assert reviewer.get(transcript).status_code == 200
    reviewer.post(f"{REASON}end/")
    assert reviewer.get(transcript).status_code == 302
    open_case(reviewer)
    assert reviewer.get(transcript).status_code == 200
    Case.objects.update(begun_at=timezone.now() - CASE_DURATION)
    assert reviewer.get(transcript).status_code == 302


def test_the_reason_form_does_not_redirect_to_another_site(reviewer: Client):
    redirect = reviewer.post(REASON, {"reason": "Safety", "next": "//evil.example/"})
    assert redirect.headers["Location"] == "/admin/"


def test_nothing_is_shown_if_it_cannot_be_recorded(reviewer: Client, transcript: str, monkeypatch: pytest.MonkeyPatch):
    open_case(reviewer)

    def refuse(*_args) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(audit.AuditEntry.objects, "bulk_create", refuse)
    with pytest.raises(DatabaseError, match="the disk is full"):
        reviewer.get(transcript)


def test_reasoning_is_shown_on_request_and_recorded(reviewer: Client, transcript: str, conversation: Conversation):
    open_case(reviewer)
    page = reviewer.get(transcript).content.decode()
    assert WORDS["reasoning"] not in page
    assert f"{transcript}?reasoning={conversation.leaf_id}#message-{conversation.leaf_id}" in page
    assert WORDS["reasoning"] in reviewer.get(f"{transcript}?reasoning={conversation.leaf_id}").content.decode()
    row = AuditEntry.objects.get(act=AuditAction.REASONING)
    assert (row.conversation_id, row.message_id) == (conversation.pk, conversation.leaf_id)


def test_what_the_endpoint_said_of_a_failure_is_shown(reviewer: Client, transcript: str, conversation: Conversation):
    open_case(reviewer)
    assert "Endpoint’s error" not in reviewer.get(transcript).content.decode()
    Generation.objects.filter(message=conversation.leaf_id).update(endpoint_error="HTTP 400: <b>no</b>")
    assert "Endpoint’s error: HTTP 400: &lt;b&gt;no&lt;/b&gt;" in reviewer.get(transcript).content.decode()


def test_reasoning_needs_its_own_permission(client: Client, transcript: str, conversation: Conversation):
    client.force_login(make_user("reader"))
    open_case(client)
    page = client.get(f"{transcript}?reasoning={conversation.leaf_id}").content.decode()
    assert WORDS["answer"] in page
    assert WORDS["reasoning"] not in page
    assert "?reasoning=" not in page
    assert not AuditEntry.objects.filter(act=AuditAction.REASONING).exists()


def test_a_link_to_a_message_shows_the_branch_with_that_message(reviewer: Client, transcript: str):
    open_case(reviewer)
    page = reviewer.get(transcript).content.decode()
    assert WORDS["answer"] in page
    assert WORDS["version"] not in page
    other = Message.objects.get(content=WORDS["version"])
    assert f"?message={other.pk}#message-{other.pk}" in page
    page = reviewer.get(f"{transcript}?message={other.pk}").content.decode()
    assert WORDS["version"] in page
    assert WORDS["answer"] not in page


@pytest.mark.parametrize("message", ["0", "x", "-1", "99999999999999999999999"])
def test_a_link_to_a_missing_message_is_not_found(reviewer: Client, transcript: str, message: str):
    open_case(reviewer)
    assert reviewer.get(f"{transcript}?message={message}").status_code == 404
    assert ("opened", "Safety", "Ticket 7") not in recorded()


def test_a_scoped_reviewer_sees_only_conversations_of_members_of_their_groups(
    client: Client, transcript: str, conversation: Conversation
):
    client.force_login(make_user("scoped reviewer"))
    open_case(client)
    changelist = "/admin/conversations/conversation/"
    assert client.get(transcript).status_code == 404
    assert str(conversation.pk) not in client.get(changelist).content.decode()
    conversation.owner.groups.add(Group.objects.get(name="Another group"))
    assert client.get(transcript).status_code == 200
    assert str(conversation.pk) in client.get(changelist).content.decode()
    Group.objects.get(name="Another group").delete()
    assert client.get(transcript).status_code == 404  # without groups, a scoped reviewer sees nothing


def test_a_transcript_lists_earlier_reviews(reviewer: Client, transcript: str):
    open_case(reviewer)
    assert "Earlier reviews" not in reviewer.get(transcript).content.decode()
    assert "Earlier reviews" in reviewer.get(transcript).content.decode()


def test_a_longer_transcript_needs_no_more_queries(reviewer: Client, transcript: str, conversation: Conversation):
    open_case(reviewer)

    def count_queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert reviewer.get(transcript).status_code == 200
        return len(queries)

    count_queries()  # the first request also fills caches
    short = count_queries()
    for rating in ("good", "bad", None, None):
        answer = queued(conversation.owner, "And then?", Conversation.objects.get(pk=conversation.pk)).message
        Generation.objects.filter(message=answer).update(status=Status.COMPLETE)
        if rating:
            Feedback.objects.create(message=answer, conversation=conversation, rating=rating)
    page = reviewer.get(transcript).content.decode()
    assert page.count("And then?") == 8  # each question, and its heading for screen readers
    assert "feedback: Good" in page
    assert count_queries() == short


def test_a_reviewer_reads_a_thought_by_steps_with_the_permission_and_on_record(
    client: Client, conversation: Conversation, transcript: str
):
    answer = conversation.messages.exclude(reasoning="").get()
    reading = f"{transcript}{answer.pk}/"
    client.force_login(make_user("reader"))
    open_case(client)
    assert client.get(reading).status_code == 403
    assert f"{answer.pk}/reasoning/" not in client.get(transcript).text
    client.force_login(make_user("reader with reasoning"))
    assert client.get(reading).status_code == 302  # a reason first
    open_case(client)
    assert client.get(f"/messages/{answer.pk}/reasoning/").status_code == 404  # never by the owner's address
    before = AuditEntry.objects.count()
    page = client.get(reading).text
    assert WORDS["reasoning"] in page
    assert f'id="step-{answer.pk}-1"' in page
    acts = AuditEntry.objects.order_by("number").values_list("act", flat=True)[before:]
    assert list(acts) == [AuditAction.OPENED, AuditAction.REASONING]
    assert f"{reading}" in client.get(f"{transcript}?reasoning={answer.pk}").text
    assert client.get(f"{transcript}{answer.parent_id}/").status_code == 404
    elsewhere = make_conversation(person("somebody"))
    assert client.get(f"{transcript}{elsewhere.leaf_id}/").status_code == 404


def test_a_transcript_shows_the_instructions_that_were_sent_and_with_which_answer(
    reviewer: Client, conversation: Conversation, transcript: str
):
    save_instructions(user=conversation.owner, content="Never sent <b>.")
    save_instructions(user=conversation.owner, content="Later <b>.", conversation=conversation)
    open_case(reviewer)
    page = reviewer.get(transcript).text
    shown = re.findall(r'<article id="instructions-(\d+)".*?<blockquote dir="auto">(.*?)</blockquote>', page, re.DOTALL)
    assert [content for _, content in shown] == [WORDS["everywhere"], WORDS["instructions"], "Later &lt;b&gt;."]
    assert re.findall(r'href="#instructions-(\d+)"', page) == [pk for pk, _ in shown[:2]]
