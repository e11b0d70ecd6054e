"""The people whose conversations were read see it, unless a second reviewer agreed to tell them later."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from conversations.models import Conversation, User
from conversations.review import audit, cases
from conversations.review.models import AuditAction, AuditEntry, Case
from tests.factories import person
from tests.review.people import planted, somebody
from tests.review.test_pages import WORDS

pytestmark = pytest.mark.django_db
HOLDS = "/admin/conversations/conversation/holds/"


@pytest.fixture
def conversation() -> Conversation:
    return planted(person("owner"), **WORDS)


@pytest.fixture
def reviewer() -> User:
    return somebody("reader with reasoning")


@pytest.fixture
def second() -> User:
    return somebody("reader")


def begin(reviewer: User) -> Case:
    return cases.begin(actor=audit.Actor(reviewer), reason="Complaint", note="A note for the trail alone")


def read(case: Case, conversation: Conversation) -> None:
    cases.open_conversation(actor=audit.Actor(case.reviewer), case=case, conversation=conversation)


def told(client: Client, conversation: Conversation) -> tuple[bool, bool]:
    """Return whether the owner reads of it on the conversation, and on the page of reviews."""
    client.force_login(conversation.owner)
    pages = (conversation.get_absolute_url(), "/reviews/")
    texts = [client.get(page).content.decode() for page in pages]
    assert all("A note for the trail alone" not in text for text in texts)
    return tuple("Complaint" in text for text in texts)


def test_the_owner_sees_when_in_which_role_and_why(client: Client, conversation: Conversation, reviewer: User):
    assert told(client, conversation) == (False, False)
    read(begin(reviewer), conversation)
    assert told(client, conversation) == (True, True)
    page = client.get("/reviews/").content.decode()
    assert "Read the conversation" in page
    assert "Reviewer" in page
    assert timezone.now().strftime("%Y-%m-%d") in page
    assert reviewer.username not in page


def test_nobody_else_sees_it(client: Client, conversation: Conversation, reviewer: User):
    read(begin(reviewer), conversation)
    client.force_login(person("stranger"))
    assert "Complaint" not in client.get("/reviews/").content.decode()
    assert client.get("/reviews/").status_code == 200
    client.logout()
    assert client.get("/reviews/").status_code == 302


def test_a_deleted_conversation_is_still_told_of(client: Client, conversation: Conversation, reviewer: User):
    read(begin(reviewer), conversation)
    conversation.delete()
    client.force_login(conversation.owner)
    assert "Read the conversation: (deleted)" in " ".join(client.get("/reviews/").content.decode().split())


def test_older_reviews_are_leafed_through(client: Client, conversation: Conversation, reviewer: User):
    case = begin(reviewer)
    for _ in range(51):
        read(case, conversation)
    client.force_login(conversation.owner)
    first = client.get("/reviews/").content.decode()
    assert first.count("<time") == 50
    oldest = AuditEntry.objects.filter(act=AuditAction.OPENED).order_by("number")[1].number
    assert f"?before={oldest}" in first
    assert client.get(f"/reviews/?before={oldest}").content.decode().count("<time") == 1


def test_a_second_reviewer_holds_the_notice_back_for_a_time(
    client: Client, conversation: Conversation, reviewer: User, second: User
):
    case = begin(reviewer)
    client.force_login(reviewer)
    assert client.post(HOLDS, {"days": 91, "why": "Too long"}).status_code == 200
    assert client.post(HOLDS, {"days": 7, "why": "They would destroy evidence"}).status_code == 302
    read(case, conversation)
    assert told(client, conversation) == (True, True)  # asking alone holds nothing back
    client.force_login(reviewer)
    assert client.post(f"{HOLDS}{case.pk}/").status_code == 403  # not one's own
    client.force_login(second)
    assert "They would destroy evidence" in client.get(HOLDS).content.decode()
    assert client.post(f"{HOLDS}{case.pk}/").status_code == 302
    assert client.post(f"{HOLDS}{case.pk}/").status_code == 403  # and not twice
    assert told(client, conversation) == (False, False)
    case.refresh_from_db()
    assert timedelta(days=6) < case.hold_until - timezone.now() <= timedelta(days=7)
    assert [*AuditEntry.objects.filter(act__startswith="hold").order_by("number").values_list("act", "actor_name")] == [
        (AuditAction.HOLD_ASKED, reviewer.username),
        (AuditAction.HOLD_GIVEN, second.username),
    ]
    Case.objects.filter(pk=case.pk).update(hold_until=timezone.now())
    assert told(client, conversation) == (True, True)


def test_a_hold_covers_its_own_case_alone(client: Client, conversation: Conversation, reviewer: User, second: User):
    held = begin(reviewer)
    cases.ask_to_hold(actor=audit.Actor(reviewer), case=held, days=7, why="Evidence")
    held.refresh_from_db()
    assert cases.agree_to_hold(actor=audit.Actor(second), case=held)
    read(held, conversation)
    assert told(client, conversation) == (False, False)
    read(begin(reviewer), conversation)
    assert told(client, conversation) == (True, True)


def test_the_database_refuses_a_hold_approved_by_who_asked_for_it(reviewer: User):
    case = begin(reviewer)
    with pytest.raises(IntegrityError), transaction.atomic():
        Case.objects.filter(pk=case.pk).update(hold_approved_by=reviewer)


def test_who_signs_up_is_told_what_can_be_reviewed(client: Client):
    assert "/privacy/" in client.get("/accounts/signup/").content.decode()
    page = client.get("/privacy/").content.decode()
    assert "Complaint" in page
    assert "90 days" in page
