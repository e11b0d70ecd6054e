"""People delete their own accounts."""

import threading
from typing import Any

import pytest
from django.core import mail
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations import actions
from conversations.accounts import deletion
from conversations.models import Conversation, Generation, LegalHold, Message, User
from conversations.review import retention
from conversations.review.models import AuditEntry
from tests.factories import claimed, person, queued
from tests.site import WAIT

PATH = "/account/delete/"


def delete(client: Client, user: User, username: str = "") -> str:
    """Confirm the password and enter the username; return the page that follows."""
    client.force_login(user)
    form = client.get(PATH, follow=True)
    if "Confirm" in form.text:
        client.post("/accounts/reauthenticate/", {"password": "pw", "next": PATH})
    return client.post(PATH, {"username": username or user.username}, follow=True).text


@pytest.mark.django_db
def test_the_owner_deletes_an_account_with_everything_in_it(client: Client, settings):
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    ada, bob = person("ada"), person("bob")
    queued(ada)
    kept = queued(bob).conversation
    actions.delete(conversation=queued(ada, "Can it be restored?").conversation)
    _, stopping = claimed(ada)  # its worker has not stopped it yet
    actions.delete(conversation=Conversation.objects.get(pk=stopping.conversation_id))
    LegalHold.objects.create(reason="Order 7", user=ada, lifted_at=ada.date_joined)
    assert "your conversations have been deleted" in delete(client, ada)
    assert client.get("/").status_code == 302
    assert list(User.objects.all()) == [bob]
    assert list(Conversation.with_deleted.all()) == [kept]
    assert Message.objects.exclude(conversation=kept).count() == 0
    entry = AuditEntry.objects.get(act="deleted", conversation_id=None)
    assert (entry.actor_name, entry.actor_id, entry.details) == ("Account owner", None, {"user": ada.pk})
    assert [message.to for message in mail.outbox] == [["ada@example.org"]]


@pytest.mark.django_db
def test_deletion_needs_the_password_and_the_username(client: Client):
    ada = person()
    client.force_login(ada)
    for method in (client.get, client.post):
        assert method(PATH, {"username": "ada"}).headers["Location"].startswith("/accounts/reauthenticate/")
    assert User.objects.get() == ada
    client.logout()
    assert "This is not your username" in delete(client, ada, "Ada")
    assert User.objects.get() == ada
    delete(client, ada)
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("subject", ["user", "conversation"])
def test_a_legal_hold_prevents_deletion_and_changes_nothing(client: Client, subject: str):
    ada = person()
    generation = queued(ada)
    hold = LegalHold.objects.create(reason="Order 7", **{subject: {"user": ada}.get(subject, generation.conversation)})
    page = delete(client, ada)
    assert "must be kept for legal reasons" in page
    assert "Order 7" not in page
    assert User.objects.get().is_active
    assert Generation.objects.get().status == "queued"
    hold.delete()
    delete(client, ada)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_the_last_superuser_cannot_go(client: Client):
    root = User.objects.create_superuser("root", password="pw")
    User.objects.create_superuser("gone", is_active=False)
    assert "only administrator with all permissions" in delete(client, root)
    assert User.objects.filter(pk=root.pk).exists()
    other = User.objects.create_superuser("other")
    delete(client, root)
    assert list(User.objects.filter(is_active=True)) == [other]


@pytest.mark.django_db(transaction=True)
def test_of_two_superusers_who_go_at_once_one_stays():
    roots = [User.objects.create_superuser(name) for name in ("root", "other")]
    for root in roots:
        Conversation.objects.create(owner=root, title="Kept by whoever stays")
    refusals = []

    def go(user: User) -> None:
        try:
            deletion.delete_own_account(user=user, address="192.0.2.1")
        except actions.Refused as refusal:
            refusals.append(str(refusal))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=[root]) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert refusals == [deletion.LAST_SUPERUSER]
    assert Conversation.objects.get().owner == User.objects.get()


@pytest.mark.django_db(transaction=True)
def test_a_hold_that_is_placed_during_a_deletion_keeps_what_is_left(monkeypatch: pytest.MonkeyPatch):
    ada = person()
    for number in range(3):
        Conversation.objects.create(owner=ada, title=f"Conversation {number}")
    monkeypatch.setattr(retention, "BATCH", 1)
    delete = retention.delete_conversations_of

    def place_hold_then_delete(user: User, *args: object) -> int:
        held = Conversation.objects.filter(owner=user).order_by("created_at").last()
        LegalHold.objects.create(conversation=held, reason="A case")
        return delete(user, *args)

    monkeypatch.setattr(retention, "delete_conversations_of", place_hold_then_delete)
    with pytest.raises(actions.Refused, match="deleted before"):
        deletion.delete_own_account(user=ada, address="192.0.2.1")
    ada.refresh_from_db()
    assert (ada.is_active, Conversation.objects.filter(owner=ada).count()) == (True, 1)


@pytest.mark.django_db(transaction=True)
def test_many_conversations_are_deleted_in_several_transactions(monkeypatch: pytest.MonkeyPatch):
    """With SQLite, nobody else can write during one."""
    monkeypatch.setattr(retention, "BATCH", 1)
    ada = person()
    for number in range(3):
        Conversation.objects.create(owner=ada, title=f"Conversation {number}")
    with CaptureQueriesContext(connection) as queries:
        deletion.delete_own_account(user=ada, address="192.0.2.1")
    assert len([query for query in queries if query["sql"].startswith("BEGIN")]) == 3 + 1
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_is_sent_twice_succeeds_once(monkeypatch: pytest.MonkeyPatch, client: Client):
    ada = person()
    delete_once = deletion.delete_own_account

    def delete_after_another_request(**arguments: Any) -> bool:
        assert delete_once(**arguments)
        return delete_once(**arguments)

    monkeypatch.setattr(deletion, "delete_own_account", delete_after_another_request)
    assert "have been deleted" in delete(client, ada)
    assert mail.outbox == []  # the other request has sent it
