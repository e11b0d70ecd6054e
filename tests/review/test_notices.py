"""Owners see when their conversations were read, unless a second reviewer has approved a delay."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from conversations.models import Conversation, User
from conversations.review import audit, cases
from conversations.review.models import AuditAction, AuditEntry, Case
from tests.factories import person
from tests.review.factories import make_conversation, make_user

pytestmark = pytest.mark.django_db
DELAYS = "/admin/conversations/conversation/holds/"


@pytest.fixture
def conversation() -> Conversation:
    return make_conversation(person("owner"))


@pytest.fixture
def reviewer() -> User:
    return make_user("reader with reasoning")


@pytest.fixture
def second() -> User:
    return make_user("reader")


def open_case(reviewer: User) -> Case:
    return cases.open_case(actor=audit.Actor(reviewer), reason="Complaint", note="Only for the audit trail")


def read(case: Case, conversation: Conversation) -> None:
    cases.record_conversation_read(actor=audit.Actor(case.reviewer), case=case, conversation=conversation)


def shown(client: Client, conversation: Conversation) -> tuple[bool, ...]:
    """Return whether the owner sees the review on the conversation's page, and on the page with all reviews."""
    client.force_login(conversation.owner)
    pages = (conversation.get_absolute_url(), "/reviews/")
    texts = [client.get(page).content.decode() for page in pages]
    assert all("Only for the audit trail" not in text for text in texts)
    return tuple("Complaint" in text for text in texts)


def test_the_owner_sees_when_in_which_role_and_why_a_conversation_was_read(
    client: Client, conversation: Conversation, reviewer: User
):
    assert shown(client, conversation) == (False, False)
    read(open_case(reviewer), conversation)
    assert shown(client, conversation) == (True, True)
    page = client.get("/reviews/").content.decode()
    assert "Read the conversation" in page
    assert "Reviewer" in page
    assert timezone.now().strftime("%Y-%m-%d") in page
    assert reviewer.username not in page


def test_nobody_else_sees_the_notice(client: Client, conversation: Conversation, reviewer: User):
    read(open_case(reviewer), conversation)
    client.force_login(person("stranger"))
    assert "Complaint" not in client.get("/reviews/").content.decode()
    assert client.get("/reviews/").status_code == 200
    client.logout()
    assert client.get("/reviews/").status_code == 302


def test_reviews_of_deleted_conversations_are_listed(client: Client, conversation: Conversation, reviewer: User):
    read(open_case(reviewer), conversation)
    conversation.delete()
    client.force_login(conversation.owner)
    assert "Read the conversation: (deleted)" in " ".join(client.get("/reviews/").content.decode().split())


def test_older_reviews_are_on_further_pages(client: Client, conversation: Conversation, reviewer: User):
    case = open_case(reviewer)
    for _ in range(51):
        read(case, conversation)
    client.force_login(conversation.owner)
    first = client.get("/reviews/").content.decode()
    assert first.count("<time") == 50
    oldest = AuditEntry.objects.filter(act=AuditAction.OPENED).order_by("number")[1].number
    assert f"?before={oldest}" in first
    assert client.get(f"/reviews/?before={oldest}").content.decode().count("<time") == 1


def test_a_notice_is_delayed_once_a_second_reviewer_approves(
    client: Client, conversation: Conversation, reviewer: User, second: User
):
    case = open_case(reviewer)
    client.force_login(reviewer)
    assert client.post(DELAYS, {"days": 91, "why": "Too long"}).status_code == 200
    assert client.post(DELAYS, {"days": 7, "why": "They would destroy evidence"}).status_code == 302
    read(case, conversation)
    assert shown(client, conversation) == (True, True)  # a request alone delays nothing
    client.force_login(reviewer)
    assert client.post(f"{DELAYS}{case.pk}/").status_code == 403  # not by the reviewer who requested it
    client.force_login(second)
    assert "They would destroy evidence" in client.get(DELAYS).content.decode()
    assert client.post(f"{DELAYS}{case.pk}/").status_code == 302
    assert client.post(f"{DELAYS}{case.pk}/").status_code == 403  # not twice
    assert shown(client, conversation) == (False, False)
    case.refresh_from_db()
    assert timedelta(days=6) < case.hold_until - timezone.now() <= timedelta(days=7)
    assert [*AuditEntry.objects.filter(act__startswith="hold").order_by("number").values_list("act", "actor_name")] == [
        (AuditAction.DELAY_REQUESTED, reviewer.username),
        (AuditAction.DELAY_APPROVED, second.username),
    ]
    Case.objects.filter(pk=case.pk).update(hold_until=timezone.now())
    assert shown(client, conversation) == (True, True)


def test_a_delay_covers_only_its_own_case(client: Client, conversation: Conversation, reviewer: User, second: User):
    delayed = open_case(reviewer)
    cases.request_notice_delay(actor=audit.Actor(reviewer), case=delayed, days=7, why="Evidence")
    delayed.refresh_from_db()
    assert cases.approve_notice_delay(actor=audit.Actor(second), case=delayed)
    read(delayed, conversation)
    assert shown(client, conversation) == (False, False)
    read(open_case(reviewer), conversation)
    assert shown(client, conversation) == (True, True)


@pytest.mark.parametrize(
    ("groups", "requester_groups", "is_in_scope"),
    [
        (None, ["Own"], True),
        (None, None, True),
        (["Own", "Other"], ["Own"], True),
        (["Own"], ["Own", "Other"], False),
        (["Own"], ["Other"], False),
        (["Own"], None, False),  # whoever is not limited may read beyond the groups
    ],
)
def test_delays_are_shown_to_and_approved_by_reviewers_with_the_same_or_a_wider_scope(
    client: Client,
    reviewer: User,
    second: User,
    groups: list[str] | None,
    requester_groups: list[str] | None,
    is_in_scope: bool,
):
    for user, names in ((second, groups), (reviewer, requester_groups)):
        user.review_limited = names is not None
        user.save()
        user.review_groups.set(Group.objects.get_or_create(name=name)[0] for name in names or ())
    case = open_case(reviewer)
    cases.request_notice_delay(actor=audit.Actor(reviewer), case=case, days=7, why="They would destroy evidence")
    client.force_login(second)
    assert ("They would destroy evidence" in client.get(DELAYS).text) == is_in_scope
    assert client.post(f"{DELAYS}{case.pk}/").status_code == (302 if is_in_scope else 404)
    Case.objects.filter(pk=case.pk).update(hold_until=timezone.now() + timedelta(days=1))
    assert (f"Case {case.pk}" in client.get(DELAYS).text) == is_in_scope


def test_the_database_refuses_a_delay_approved_by_who_requested_it(reviewer: User):
    case = open_case(reviewer)
    with pytest.raises(IntegrityError), transaction.atomic():
        Case.objects.filter(pk=case.pk).update(hold_approved_by=reviewer)


def test_sign_up_links_to_what_reviewers_can_read(client: Client):
    assert "/privacy/" in client.get("/accounts/signup/").content.decode()
    page = client.get("/privacy/").content.decode()
    assert "Complaint" in page
    assert "90 days" in page
    assert "stay in the audit trail when you delete the conversation" in page
