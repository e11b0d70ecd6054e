"""Expired data is deleted, and its deletion recorded; a legal hold prevents that, and deletion by the owner too."""

from collections import Counter
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from conversations import actions
from conversations.models import Chunk, Conversation, Generation, LegalHold, Message, Status, User
from conversations.review import audit, retention
from conversations.review.filters import filter_conversations
from conversations.review.models import AuditAction, AuditEntry
from tests.factories import person, queued
from tests.review.factories import WORDS, make_conversation, make_user

pytestmark = pytest.mark.django_db


def aged(owner: User, days: int) -> Conversation:
    """Return a conversation last changed so many days ago."""
    conversation = make_conversation(owner)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=timezone.now() - timedelta(days=days))
    return conversation


def prune(*arguments: str) -> str:
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue()


def test_without_a_period_nothing_is_deleted():
    aged(person("owner"), 10_000)
    assert prune().count("0 ") == 4
    assert Conversation.objects.count() == 1


def test_expired_conversations_are_deleted_and_recorded(settings):
    settings.RETAIN_CONVERSATIONS_DAYS = 30
    owner = person("owner")
    expired, recent = aged(owner, 31), aged(owner, 29)
    assert "Would delete 1 conversations" in prune("--dry-run")
    assert Conversation.objects.count() == 2
    assert "Deleted 1 conversations" in prune()
    assert list(Conversation.objects.values_list("pk", flat=True)) == [recent.pk]
    for kind in (Message, Generation, Chunk):
        assert not kind.objects.exclude(**{"conversation" if kind is not Chunk else "generation__conversation": recent})
    assert Message.objects.matching(WORDS["answer"]).count() == 1  # the search index too
    [row] = AuditEntry.objects.filter(act="pruned")
    assert (row.conversation_id, row.owner_id, row.actor_id) == (expired.pk, owner.pk, None)


def test_what_its_owner_has_archived_is_found_by_reviewers_and_expires_like_the_rest(settings):
    settings.RETAIN_CONVERSATIONS_DAYS = 30
    expired, recent = (aged(person(name), days) for name, days in (("ada", 31), ("bob", 29)))
    for conversation in (expired, recent):
        actions.archive(conversation=conversation, archived=True)
    assert {found.pk for found in filter_conversations(make_user("reader"), {})} == {expired.pk, recent.pk}
    assert "Deleted 1 conversations" in prune()
    assert list(Conversation.objects.values_list("pk", flat=True)) == [recent.pk]


def test_reasoning_has_its_own_period_and_its_outline_with_it(settings):
    settings.RETAIN_REASONING_DAYS = 7
    conversation = aged(person("owner"), 8)
    Message.objects.filter(pk=conversation.leaf_id).update(outline={"steps": [[0, "A label", "", 0]]})
    assert "Deleted the reasoning of 1 messages" in prune()
    answer = Message.objects.get(pk=conversation.leaf_id)
    assert (answer.content, answer.reasoning, answer.outline) == (WORDS["answer"], "", None)
    assert AuditEntry.objects.get(act="pruned").details == {"reasoning_only": 1}


def test_a_conversation_with_a_queued_answer_is_not_deleted(settings):
    settings.RETAIN_CONVERSATIONS_DAYS = 30
    conversation = queued(person("owner")).conversation
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=31))
    prune()
    assert Conversation.objects.filter(pk=conversation.pk).exists()
    Generation.objects.update(status=Status.COMPLETE)
    prune()
    assert not Conversation.objects.exists()


def test_expired_deactivated_accounts_are_deleted_with_their_conversations(settings):
    settings.RETAIN_DEACTIVATED_DAYS = 90
    expired, recent, active = person("expired"), person("recent"), person("active")
    User.objects.update(date_joined=timezone.now() - timedelta(days=200))
    User.objects.filter(pk__in=[expired.pk, recent.pk]).update(is_active=False)
    User.objects.filter(pk=recent.pk).update(last_login=timezone.now() - timedelta(days=80))
    for owner in (expired, recent, active):
        make_conversation(owner)
    assert "Deleted 1 deactivated accounts" in prune()
    assert set(User.objects.all()) == {recent, active}
    assert set(Conversation.objects.values_list("owner", flat=True)) == {recent.pk, active.pk}


@pytest.mark.parametrize("name", ["is_active", "last_login"])
def test_what_is_left_of_an_account_that_is_used_again_meanwhile_is_kept(
    settings, monkeypatch: pytest.MonkeyPatch, name: str
):
    settings.RETAIN_DEACTIVATED_DAYS = 90
    monkeypatch.setattr(retention, "BATCH", 1)
    begun, next_one, expired = people = person("begun"), person("next"), person("expired")
    User.objects.update(is_active=False, date_joined=timezone.now() - timedelta(days=200))
    for owner in people * 3:
        make_conversation(owner)
    record = audit.record

    def use_again_and_record(*arguments: Any, **details: Any) -> None:
        changes = {"is_active": True, "last_login": timezone.now()}
        User.objects.exclude(pk=expired.pk).update(**{name: changes[name]})
        record(*arguments, **details)

    monkeypatch.setattr(audit, "record", use_again_and_record)  # while the first conversation is deleted
    assert "Deleted 1 deactivated accounts" in prune()
    assert set(User.objects.all()) == {begun, next_one}
    assert Counter(Conversation.objects.values_list("owner", flat=True)) == {begun.pk: 2, next_one.pk: 3}


@pytest.mark.parametrize("subject", ["user", "conversation"])
def test_a_legal_hold_prevents_deletion_until_it_is_lifted(settings, client: Client, subject: str):
    settings.RETAIN_CONVERSATIONS_DAYS = settings.RETAIN_REASONING_DAYS = settings.RETAIN_DEACTIVATED_DAYS = 30
    owner = person("owner")
    conversation = aged(owner, 31)
    hold = LegalHold.objects.create(reason="Order 7", **{subject: owner if subject == "user" else conversation})
    User.objects.filter(pk=owner.pk).update(is_active=False, date_joined=timezone.now() - timedelta(days=200))
    assert prune().count("0 ") == 4
    User.objects.filter(pk=owner.pk).update(is_active=True)
    client.force_login(owner)
    page = client.post(f"{conversation.get_absolute_url()}delete/", follow=True)
    assert "must be kept for legal reasons" in page.content.decode()
    assert Message.objects.get(pk=conversation.leaf_id).reasoning
    LegalHold.objects.filter(pk=hold.pk).update(lifted_at=timezone.now())
    client.post(f"{conversation.get_absolute_url()}delete/")
    assert not Conversation.objects.exists()


def test_placing_and_lifting_a_legal_hold_is_recorded(client: Client):
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


def test_audit_entries_have_their_own_period(settings, monkeypatch: pytest.MonkeyPatch):
    now = timezone.now()
    for days in (400, 300):
        monkeypatch.setattr(timezone, "now", lambda days=days: now - timedelta(days=days))
        audit.record(audit.System(), AuditAction.HOLD_PLACED)
    monkeypatch.undo()
    assert "audit" not in prune()
    settings.RETAIN_AUDIT_DAYS = 365
    assert "Would delete 1 audit entries" in prune("--dry-run")
    assert AuditEntry.objects.count() == 2
    assert "Deleted 1 audit entries" in prune()
    assert list(AuditEntry.objects.order_by("number").values_list("act", flat=True)) == [
        AuditAction.HOLD_PLACED,
        AuditAction.TRIMMED,
    ]


def test_an_outline_that_an_earlier_version_left_is_deleted(settings):
    settings.RETAIN_REASONING_DAYS = 7
    conversation = aged(person("owner"), 8)
    outline = {"steps": [[0, "A label", "", 0]]}
    Message.objects.filter(pk=conversation.leaf_id).update(reasoning="", reasoning_words=0, outline=outline)
    assert "Deleted the reasoning of 1 messages" in prune()
    assert Message.objects.get(pk=conversation.leaf_id).outline is None
