"""While a legal hold is in force, nothing deletes or overwrites what it covers, and its subject stays what it was."""

import re
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone

from conversations import actions, urls
from conversations.models import (
    Archive,
    Attachment,
    Conversation,
    Feedback,
    Generation,
    LegalHold,
    Message,
    Rating,
    Share,
    User,
)
from conversations.review import retention
from conversations.review.audit import System
from conversations.review.models import AuditEntry
from tests.factories import attached, person, queued, unsent
from tests.review.factories import make_conversation
from tests.site import run_module

pytestmark = pytest.mark.django_db
REASON = "this conversation must be kept for legal reasons."
HOLDS = "/admin/conversations/legalhold/"
FIELDS = {"title": "Renamed", "content": "Something else", "rating": Rating.BAD, "comment": "Changed", "key": ""}
FIELDS |= {"pinned": "1", "archived": "1"}


@pytest.fixture
def owner() -> User:
    return person("owner")


@pytest.fixture
def conversation(owner: User) -> Conversation:
    """A conversation with two versions of an answer, feedback on one, and a question that waits."""
    conversation = make_conversation(owner)
    actions.give_feedback(message=conversation.leaf, rating=Rating.GOOD, comment="To the point", shared=False)
    attached(queued(owner, "And this?", conversation).message.prompt, "Sent")
    unsent(owner, "Not sent")
    conversation.refresh_from_db()
    return conversation


@pytest.fixture(params=["user", "conversation"])
def hold(request: pytest.FixtureRequest, owner: User, conversation: Conversation) -> LegalHold:
    return LegalHold.objects.create(
        reason="Order 7", **{request.param: owner if request.param == "user" else conversation}
    )


def texts() -> Counter[Any]:
    """Return all that people and the model have written, each with its place."""
    found = Counter(("title", *row) for row in Conversation.objects.values_list("pk", "title"))
    found.update(("message", *row) for row in Message.objects.values_list("pk", "content", "reasoning", "created_at"))
    found.update(("file", *row) for row in Attachment.objects.values_list("pk", "owner", "stored"))
    found.update(("feedback", *row) for row in Feedback.objects.values_list("message", "rating", "comment", "shared"))
    return found


def commands(conversation: Conversation) -> list[str]:
    """Return every URL of the site that has an id, for each of this conversation's rows."""
    messages = list(conversation.messages.values_list("pk", flat=True))
    generations = list(conversation.generations.values_list("pk", flat=True))
    routes = [str(pattern.pattern) for pattern in urls.urlpatterns if "<" in str(pattern.pattern)]
    files = list(Attachment.objects.values_list("pk", flat=True))
    ids = {
        "conversations": [conversation.pk],
        "messages": messages,
        "generations": generations,
        "attachments": files,
        "shares": Share.objects.values_list("pk", flat=True),
        "account": Archive.objects.values_list("pk", flat=True),
    }
    return ["/" + re.sub("<[^>]+>", str(pk), route) for route in routes for pk in ids.get(route.split("/")[0], ())]


def effects(client: Client, conversation: Conversation, **headers: str) -> dict[str, bool]:
    """Return for each command by its name whether it deletes or overwrites something, each tried by itself."""
    found: dict[str, bool] = {}
    before = texts()
    for url in commands(conversation):
        with transaction.atomic():
            client.post(url, FIELDS | {"key": str(uuid.uuid4())}, headers=headers)
            name = url.strip("/").split("/")[-1]
            found[name] = found.get(name, False) or not before <= texts()
            transaction.set_rollback(True)
    return found


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_no_command_of_the_owner_deletes_or_overwrites_anything(
    client: Client, owner: User, conversation: Conversation, hold: LegalHold, headers: dict[str, str]
):
    client.force_login(owner)
    changing = {name for name, changes in effects(client, conversation, **headers).items() if changes}
    assert changing == ({"remove"} if hold.conversation else set())  # a file that was not sent is in no conversation


def test_without_a_hold_some_of_the_same_commands_do(client: Client, owner: User, conversation: Conversation):
    """A positive control for the test above."""
    client.force_login(owner)
    changing = {name for name, changes in effects(client, conversation).items() if changes}
    assert changing == {"take-back", "rename", "rate", "feedback", "delete", "remove"}


@pytest.mark.parametrize(
    ("command", "fields", "sentence"),
    [
        ("generations/{generation}/take-back/", {}, "You cannot remove this question, only stop it: "),
        ("conversations/{conversation}/rename/", {"title": "Other"}, "You cannot rename this conversation yet: "),
        ("conversations/{conversation}/delete/", {}, "You cannot delete this conversation yet: "),
        ("messages/{answer}/rate/", {"rating": "good"}, "You cannot change your feedback yet: "),
        ("messages/{answer}/feedback/", {"rating": "bad"}, "You cannot change your feedback yet: "),
    ],
)
def test_the_owner_is_told_that_there_is_a_legal_reason_and_no_more(
    client: Client, owner: User, conversation: Conversation, command: str, fields: dict[str, str], sentence: str
):
    LegalHold.objects.create(reason="Order 7", user=owner)
    client.force_login(owner)
    ids = {
        "conversation": conversation.pk,
        "answer": Feedback.objects.get().message_id,
        "generation": Generation.objects.live().get().pk,
    }
    url = "/" + command.format(**ids)
    refused = client.post(url, fields, headers={"HX-Request": "true"})
    assert refused.status_code == 422
    page = client.post(url, fields, follow=True)
    assert page.redirect_chain == [(conversation.get_absolute_url(), 302)]
    for text in (refused.text, page.text):
        assert sentence + REASON in text
        assert "Order 7" not in text
        assert "hold" not in re.sub("placeholder|threshold", "", text.lower())


def test_a_lifted_hold_on_the_conversation_itself_prevents_nothing(owner: User):
    generation = queued(owner)
    LegalHold.objects.create(reason="Order 7", conversation=generation.conversation, lifted_at=timezone.now())
    assert actions.cancel(generation=generation)[0] == "Why?"
    assert not Conversation.objects.exists()


def test_first_feedback_can_be_given_under_a_hold(owner: User):
    conversation = make_conversation(owner)
    LegalHold.objects.create(reason="Order 7", user=owner)
    assert actions.rate(message=conversation.leaf, rating=Rating.GOOD)
    with pytest.raises(actions.Held):
        actions.rate(message=conversation.leaf, rating=Rating.GOOD)


def test_retention_deletes_nothing_under_a_hold(settings, owner: User, conversation: Conversation, hold: LegalHold):
    settings.RETAIN_CONVERSATIONS_DAYS = settings.RETAIN_REASONING_DAYS = settings.RETAIN_DEACTIVATED_DAYS = 1
    Generation.objects.update(status="complete")
    long_ago = timezone.now() - timedelta(days=9)
    Conversation.objects.update(updated_at=long_ago)
    User.objects.update(is_active=False, date_joined=long_ago)
    before = texts()
    call_command("prune", verbosity=0)
    assert not retention.delete_account(actor=System(), user=User.objects.get(pk=owner.pk))
    assert texts() == before


def test_the_subject_of_a_hold_cannot_be_changed(client: Client, conversation: Conversation, hold: LegalHold):
    other = person("other")
    client.force_login(User.objects.create_superuser("root"))
    fields = {"user": other.pk, "conversation": "", "reason": "Order 8", "lifted_at_0": "", "lifted_at_1": ""}
    assert client.post(f"{HOLDS}{hold.pk}/change/", fields).status_code == 302
    changed = LegalHold.objects.get()
    assert (changed.user, changed.conversation) == (hold.user, hold.conversation)
    assert changed.reason == "Order 8"
    entry = AuditEntry.objects.order_by("number").last()
    assert (entry.act, entry.details["why"]) == ("hold_changed", "Order 8")


def test_a_limited_reviewer_sees_and_places_only_holds_within_the_groups(client: Client, owner: User):
    own = Group.objects.create(name="Own")
    staff, member = User.objects.create_superuser("limited"), person("member")
    member.groups.add(own)
    User.objects.filter(pk=staff.pk).update(review_limited=True)
    staff.review_groups.add(own)
    conversations = {user: queued(user).conversation for user in (owner, member)}
    holds = {user: LegalHold.objects.create(reason=f"Order for {user.username}", user=user) for user in conversations}
    client.force_login(staff)
    page = client.get(HOLDS).text
    assert ("Order for member" in page, "Order for owner" in page) == (True, False)
    assert client.get(f"{HOLDS}{holds[owner].pk}/change/").status_code == 302  # as for a hold that does not exist
    for user, placed in ((owner, 0), (member, 2)):
        client.post(f"{HOLDS}add/", {"user": user.pk, "conversation": "", "reason": "New"})
        client.post(f"{HOLDS}add/", {"user": "", "conversation": conversations[user].pk, "reason": "New"})
        assert LegalHold.objects.filter(reason="New").count() == placed


def test_a_conversation_that_its_owner_has_just_deleted_can_be_held(client: Client, conversation: Conversation):
    actions.delete(conversation=conversation)
    client.force_login(User.objects.create_superuser("root"))
    client.post(f"{HOLDS}add/", {"user": "", "conversation": conversation.pk, "reason": "Order 7"})
    assert "Order 7" in client.get(HOLDS).text
    long_ago = timezone.now() - timedelta(days=1)
    Conversation.with_deleted.filter(pk=conversation.pk).update(deleted_at=long_ago)
    assert actions.purge() == 0
    assert Conversation.objects.get() == conversation


@pytest.mark.postgresql
def test_holds_and_deletions_of_accounts_at_once_on_postgresql(postgresql_database: str):
    run_module("tests.review.held_at_once", DATABASE_URL=postgresql_database)


def test_an_account_that_was_deleted_meanwhile_is_not_deleted_again(owner: User):
    User.objects.filter(pk=owner.pk).update(is_active=False)
    owner.refresh_from_db()
    found_twice = User.objects.get(pk=owner.pk)
    assert retention.delete_account(actor=System(), user=owner)
    assert not retention.delete_account(actor=System(), user=found_twice)
    assert AuditEntry.objects.filter(act="deleted").count() == 1


def test_a_hold_on_somebody_who_was_deleted_meanwhile_is_refused(
    client: Client, owner: User, monkeypatch: pytest.MonkeyPatch
):
    clean = LegalHold.full_clean

    def clean_then_delete(hold: LegalHold, *arguments: Any, **options: Any) -> None:
        clean(hold, *arguments, **options)
        User.objects.filter(pk=owner.pk).delete()

    monkeypatch.setattr(LegalHold, "full_clean", clean_then_delete)
    client.force_login(User.objects.create_superuser("root"))
    fields = {"user": owner.pk, "conversation": "", "reason": "Order 7"}
    assert client.post(f"{HOLDS}add/", fields).status_code == 403
    assert not LegalHold.objects.exists()
    assert not AuditEntry.objects.filter(act="held").exists()
