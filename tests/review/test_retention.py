"""What has outlived its period is deleted whole and written down; a legal hold keeps it, also from its owner."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from conversations.models import Chunk, Conversation, Generation, LegalHold, Message, Status, User
from conversations.review import audit
from conversations.review.models import AuditAction, AuditEntry
from tests.factories import person, queued
from tests.review.people import planted
from tests.review.test_pages import WORDS

pytestmark = pytest.mark.django_db


def aged(owner: User, days: int) -> Conversation:
    conversation = planted(owner, **WORDS)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=timezone.now() - timedelta(days=days))
    return conversation


def prune(*arguments: str) -> str:
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue()


def test_nothing_is_deleted_unless_a_period_is_set():
    aged(person("owner"), 10_000)
    assert prune().count("0 ") == 3
    assert Conversation.objects.count() == 1


def test_conversations_are_deleted_whole_and_written_down(settings):
    settings.RETAIN_CONVERSATIONS_DAYS = 30
    owner = person("owner")
    old, young = aged(owner, 31), aged(owner, 29)
    said = prune("--dry-run")
    assert "Would delete 1 conversations" in said
    assert Conversation.objects.count() == 2
    assert "Deleted 1 conversations" in prune()
    assert list(Conversation.objects.values_list("pk", flat=True)) == [young.pk]
    for kind in (Message, Generation, Chunk):
        assert not kind.objects.exclude(**{"conversation" if kind is not Chunk else "generation__conversation": young})
    assert Message.objects.matching(WORDS["answer"]).count() == 1  # the index forgot it too
    [row] = AuditEntry.objects.filter(act="pruned")
    assert (row.conversation_id, row.owner_id, row.actor_id) == (old.pk, owner.pk, None)


def test_reasoning_has_a_period_of_its_own(settings):
    settings.RETAIN_REASONING_DAYS = 7
    conversation = aged(person("owner"), 8)
    assert "Deleted the reasoning of 1 messages" in prune()
    answer = Message.objects.get(pk=conversation.leaf_id)
    assert (answer.content, answer.reasoning) == (WORDS["answer"], "")
    assert AuditEntry.objects.get(act="pruned").details == {"reasoning_only": 1}


def test_what_is_being_answered_is_left_alone(settings):
    settings.RETAIN_CONVERSATIONS_DAYS = 30
    conversation = queued(person("owner")).conversation
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=31))
    prune()
    assert Conversation.objects.filter(pk=conversation.pk).exists()
    Generation.objects.update(status=Status.COMPLETE)
    prune()
    assert not Conversation.objects.exists()


def test_deactivated_accounts_go_with_all_that_is_theirs(settings):
    settings.RETAIN_DEACTIVATED_DAYS = 90
    gone, back, active = person("gone"), person("back"), person("active")
    User.objects.update(date_joined=timezone.now() - timedelta(days=200))
    User.objects.filter(pk__in=[gone.pk, back.pk]).update(is_active=False)
    User.objects.filter(pk=back.pk).update(last_login=timezone.now() - timedelta(days=80))
    for owner in (gone, back, active):
        planted(owner, **WORDS)
    assert "Deleted 1 deactivated accounts" in prune()
    assert set(User.objects.all()) == {back, active}
    assert set(Conversation.objects.values_list("owner", flat=True)) == {back.pk, active.pk}


@pytest.mark.parametrize("on", ["user", "conversation"])
def test_a_legal_hold_keeps_what_has_expired_until_it_is_lifted(settings, client: Client, on: str):
    settings.RETAIN_CONVERSATIONS_DAYS = settings.RETAIN_REASONING_DAYS = settings.RETAIN_DEACTIVATED_DAYS = 30
    owner = person("owner")
    conversation = aged(owner, 31)
    hold = LegalHold.objects.create(reason="Order 7", **{on: owner if on == "user" else conversation})
    User.objects.filter(pk=owner.pk).update(is_active=False, date_joined=timezone.now() - timedelta(days=200))
    assert prune().count("0 ") == 3
    User.objects.filter(pk=owner.pk).update(is_active=True)
    client.force_login(owner)
    answer = client.post(f"{conversation.get_absolute_url()}delete/", follow=True)
    assert "must be kept for legal reasons" in answer.content.decode()
    assert Message.objects.get(pk=conversation.leaf_id).reasoning
    LegalHold.objects.filter(pk=hold.pk).update(lifted_at=timezone.now())
    client.post(f"{conversation.get_absolute_url()}delete/")
    assert not Conversation.objects.exists()


def test_placing_and_lifting_a_hold_is_written_down(client: Client):
    owner = person("owner")
    client.force_login(User.objects.create_superuser("root"))
    client.post("/admin/conversations/legalhold/add/", {"user": owner.pk, "reason": "Order 7"})
    hold = LegalHold.objects.get()
    lifted = {"user": owner.pk, "reason": "Order 7", "lifted_at_0": "2026-01-01", "lifted_at_1": "12:00"}
    client.post(f"/admin/conversations/legalhold/{hold.pk}/change/", lifted)
    assert list(AuditEntry.objects.filter(act__in=["held", "lifted"]).values_list("act", "actor_name")) == [
        ("held", "root"),
        ("lifted", "root"),
    ]
    assert client.post(f"/admin/conversations/legalhold/{hold.pk}/delete/", {"post": "yes"}).status_code == 403


def test_rows_of_the_trail_have_a_period_of_their_own(settings, monkeypatch: pytest.MonkeyPatch):
    now = timezone.now()
    for days in (400, 300):
        monkeypatch.setattr(timezone, "now", lambda days=days: now - timedelta(days=days))
        audit.record(audit.Actor(), AuditAction.HELD)
    monkeypatch.undo()
    assert "audit" not in prune()
    settings.RETAIN_AUDIT_DAYS = 365
    assert "Would delete 1 audit entries" in prune("--dry-run")
    assert AuditEntry.objects.count() == 2
    assert "Deleted 1 audit entries" in prune()
    assert list(AuditEntry.objects.order_by("number").values_list("act", flat=True)) == [
        AuditAction.HELD,
        AuditAction.TRIMMED,
    ]
