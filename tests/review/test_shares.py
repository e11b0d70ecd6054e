"""Reviewers see the links to a conversation and can end them, with a reason that the owner sees; all is recorded."""

import pytest
from django.test import Client

from conversations import actions
from conversations.models import Conversation, Share
from conversations.review.models import AuditAction, AuditEntry
from tests.factories import person
from tests.review.factories import make_conversation, make_user

pytestmark = pytest.mark.django_db
CASE = "/admin/conversations/conversation/reason/"


@pytest.fixture
def conversation() -> Conversation:
    return make_conversation(person("owner"))


@pytest.fixture
def share(conversation: Conversation) -> Share:
    return actions.create_share(
        conversation=conversation, audience="members", days=7, with_reasoning=True, with_files=False
    )


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role))
    return client


def end(client: Client, share: Share, **fields: str):
    path = f"/admin/conversations/conversation/{share.conversation_id}/transcript/shares/{share.pk}/end/"
    return client.post(path, fields)


def test_a_reviewer_ends_a_link_and_its_owner_sees_why(share: Share, conversation: Conversation):
    reviewer, reader, owner = signed_in("reader"), signed_in("user"), Client()
    owner.force_login(conversation.owner)
    link = f"/shared/{share.token}/"
    assert reader.get(link).status_code == 200
    assert "/reason/" in end(reviewer, share, reason="It has personal data").headers["Location"]  # no case is open
    reviewer.post(CASE, {"reason": "Complaint", "note": "Ticket 7"})
    transcript = f"/admin/conversations/conversation/{conversation.pk}/transcript/"
    page = reviewer.get(transcript).content.decode()
    assert "Questions and answers, reasoning. Created" in page
    assert "1 visit." in page
    assert reader.get(link).status_code == 200
    assert end(reviewer, share, reason="It has personal data").headers["Location"] == transcript
    assert reader.get(link).status_code == 404
    for address in ("/shares/", f"{conversation.get_absolute_url()}share/"):
        assert "It has personal data" in owner.get(address).content.decode()
    entry = AuditEntry.objects.get(act=AuditAction.SHARE_ENDED)
    assert (entry.reason, entry.conversation_id) == ("Complaint", conversation.pk)
    assert entry.details == {"share": str(share.pk), "why": "It has personal data"}
    assert "Ended a shared link" in owner.get("/reviews/").content.decode()
    end(reviewer, share, reason="Again")
    assert AuditEntry.objects.filter(act=AuditAction.SHARE_ENDED).count() == 1
    assert Share.objects.get().end_reason == "It has personal data"


def test_a_link_is_ended_only_with_a_reason_the_permission_and_within_the_groups(share: Share):
    for role in ("user", "superuser", "list-only", "scoped reviewer"):
        client = signed_in(role)
        client.post(CASE, {"reason": "Safety"})
        assert end(client, share, reason="It has personal data").status_code in (302, 403, 404), role
    reviewer = signed_in("reader")
    reviewer.post(CASE, {"reason": "Safety"})
    for reason in ("", " ", "x" * 201):
        end(reviewer, share, reason=reason)
    other = Share(pk=share.pk, conversation=make_conversation(person("another")))
    assert end(reviewer, other, reason="It has personal data").status_code == 404
    assert Share.objects.active().get() == share
    assert not AuditEntry.objects.filter(act=AuditAction.SHARE_ENDED).exists()
    end(reviewer, share, reason="It has personal data")
    assert not Share.objects.active().exists()
