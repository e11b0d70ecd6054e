"""Deletion of conversations: hidden at once, undone for a while, then gone."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import actions, limits
from conversations.actions import deletion
from conversations.generation.commit import Result, finish
from conversations.models import Attachment, Conversation, Generation, LegalHold, Message, Status, StoredFile, User
from conversations.models.conversation import Placement
from conversations.models.permissions import REVIEW
from conversations.page_state import NotVisible, PageState
from conversations.views.deletion import DONE
from tests.factories import attached, claimed, person, queued
from tests.site import run_module

pytestmark = pytest.mark.django_db
HELD = "You cannot delete this conversation yet: this conversation must be kept for legal reasons."


@pytest.fixture
def ada() -> User:
    return person("ada")


@pytest.fixture
def reader(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def conversation(ada: User) -> Conversation:
    """A conversation with an answer, of which a word is found nowhere else, and a file."""
    worker, claim = claimed(ada)
    finish(worker.pk, claim, Result(Status.COMPLETE, "the quokka thinks", "the quokka says"), {})
    conversation = Conversation.objects.get()
    Message.objects.filter(parent=None).update(content="a quokka asks")
    Conversation.objects.update(title="Quokka")
    attached(conversation.messages.get(parent=None), "quokka")
    return conversation


def pass_undo_time() -> None:
    over = timedelta(seconds=15, microseconds=1)
    for conversation in Conversation.with_deleted.exclude(deleted_at=None):
        Conversation.with_deleted.filter(pk=conversation.pk).update(deleted_at=conversation.deleted_at - over)


def urls_of(conversation: Conversation) -> list[str]:
    """Return the pages, files and commands of a conversation that answer its owner's GET."""
    answer = conversation.messages.exclude(parent=None).get()
    page, message = conversation.get_absolute_url(), f"/messages/{answer.pk}/"
    file = f"/attachments/{Attachment.objects.get().pk}/"
    pages = [page, f"{page}export/?as=json", f"{page}export/?as=md", f"{page}instructions/"]
    messages = [f"{message}{name}/" for name in ("reasoning", "whole", "details", "markdown", "text", "feedback")]
    return [*pages, *messages, f"/messages/{answer.parent_id}/edit/", file, f"{file}preview/"]


def lists(reader: Client) -> str:
    """Return everything in which a person finds conversations."""
    paths = ("/", "/conversations/", "/conversations/archived/", "/search/?q=quokka", "/palette/?q=quokka", "/palette/")
    return "".join(reader.get(path).text for path in paths)


def test_a_deleted_conversation_is_nowhere_on_the_site(reader: Client, ada: User, conversation: Conversation):
    urls = urls_of(conversation)
    assert {url: reader.get(url).status_code for url in urls} == dict.fromkeys(urls, 200)
    assert str(conversation.pk) in lists(reader)
    assert PageState(conversation.pk, {}).read(ada.pk)
    actions.delete(conversation=conversation)
    assert {url: reader.get(url).status_code for url in urls} == dict.fromkeys(urls, 404)
    assert str(conversation.pk) not in lists(reader)
    with pytest.raises(NotVisible):
        PageState(conversation.pk, {}).read(ada.pk)
    assert Message.objects.count() == 2  # it can be restored


def test_nothing_is_done_in_a_deleted_conversation(reader: Client, conversation: Conversation):
    generation = Generation.objects.get()
    stale = Conversation.objects.get()  # found by a request just before
    deleted_at = actions.delete(conversation=conversation)
    page, message = conversation.get_absolute_url(), f"/messages/{generation.message_id}/"
    commands = [*(f"{page}{name}/" for name in ("messages", "rename", "pin", "archive", "delete"))]
    commands += [f"{message}{name}/" for name in ("regenerate", "continue", "select", "rate", "feedback", "edit")]
    commands += [f"/generations/{generation.pk}/{name}/" for name in ("stop", "answer-now", "take-back")]
    fields = {"content": "x", "title": "x", "pinned": "1", "archived": "1", "rating": "good"}
    assert {url: reader.post(url, fields).status_code for url in commands} == dict.fromkeys(commands, 404)
    with pytest.raises(Conversation.DoesNotExist):
        queued(stale.owner, conversation=stale)
    assert Conversation.with_deleted.get().deleted_at == deleted_at
    assert Message.objects.count() == 2


def test_reviewers_do_not_see_it_either(client: Client, conversation: Conversation):
    reviewer = User.objects.create_user("reviewer", "r@example.org", "pw", is_staff=True)
    reviewer.user_permissions.set(Permission.objects.filter(codename__in=REVIEW))
    client.force_login(reviewer)
    client.post("/admin/conversations/conversation/reason/", {"reason": "Safety"})
    transcript = f"/admin/conversations/conversation/{conversation.pk}/transcript/"
    places = ("/admin/conversations/conversation/", "/admin/conversations/conversation/search/?q=quokka")
    assert client.get(transcript).status_code == 200
    assert all(str(conversation.pk) in client.get(place).text for place in places)
    actions.delete(conversation=conversation)
    assert client.get(transcript).status_code == 404
    assert not any(str(conversation.pk) in client.get(place).text for place in places)


def test_its_links_work_again_when_it_is_restored(client: Client, ada: User, conversation: Conversation):
    share = actions.create_share(
        conversation=conversation, audience="members", days=30, with_reasoning=False, with_files=False
    )
    client.force_login(person("bob"))
    link = f"/shared/{share.token}/"
    assert client.get(link).status_code == 200
    deleted_at = actions.delete(conversation=conversation)
    assert client.get(link).status_code == 404
    actions.restore(user=ada, deleted_at=deleted_at)
    assert client.get(link).status_code == 200


@pytest.mark.parametrize("htmx", [False, True])
def test_a_deletion_is_undone_by_the_button_of_its_notice(reader: Client, conversation: Conversation, htmx: bool):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/search/"} if htmx else {}
    url = f"{conversation.get_absolute_url()}delete/"
    notice = reader.post(url, headers=headers, follow=not htmx).text
    assert f"{DONE} You can undo this for 10 seconds." in notice
    deleted_at = Conversation.with_deleted.get().deleted_at
    assert f'name="deleted_at" value="{deleted_at.isoformat()}"' in notice
    undone = reader.post("/conversations/undo/", {"deleted_at": deleted_at.isoformat()}, follow=True)
    assert undone.redirect_chain == [(conversation.get_absolute_url(), 302)]
    assert "Conversation restored." in undone.text
    assert str(conversation.pk) in lists(reader)


def test_only_its_owner_undoes_a_deletion(client: Client, conversation: Conversation):
    deleted_at = actions.delete(conversation=conversation).isoformat()
    client.force_login(person("bob"))
    refused = client.post("/conversations/undo/", {"deleted_at": deleted_at}, follow=True)
    assert "It is too late to undo this." in refused.text
    assert not Conversation.objects.exists()


def test_a_moment_that_is_none_is_refused(reader: Client):
    for moment in ("", "x", "\0", "2026-01-01T00:00:00", "9999-12-31T23:59:59-14:00"):
        assert reader.post("/conversations/undo/", {"deleted_at": moment}).status_code == 400


def test_what_was_not_undone_in_time_is_deleted_with_everything(reader: Client, ada: User, conversation: Conversation):
    kept = queued(ada, "Kept?").conversation
    deleted_at = actions.delete(conversation=conversation)
    assert actions.purge() == 0  # ten seconds are not over
    assert Conversation.with_deleted.count() == 2
    pass_undo_time()
    assert actions.purge() == 1
    assert list(Conversation.with_deleted.all()) == [kept]
    assert set(Message.objects.values_list("conversation", flat=True)) == {kept.pk}
    assert not Attachment.objects.exists()
    assert StoredFile.objects.get().released
    late = reader.post("/conversations/undo/", {"deleted_at": deleted_at.isoformat()}, follow=True)
    assert "It is too late to undo this. What you deleted is gone." in late.text


def test_what_cannot_be_deleted_keeps_nothing_else_and_is_not_tried_for_ever(
    ada: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    first, second = (queued(ada, name).conversation for name in ("First", "Second"))
    tried, delete_row = [], deletion.delete_row

    def fail_for_the_first(conversation: Conversation) -> None:
        tried.append(conversation)
        if conversation == first:
            raise IntegrityError("a row of the operator's own refers to it")
        delete_row(conversation)

    monkeypatch.setattr(deletion, "delete_row", fail_for_the_first)
    monkeypatch.setattr(deletion, "_not_deletable", set())
    for conversation in (first, second):
        actions.delete(conversation=conversation)
    pass_undo_time()
    assert [actions.purge(), actions.purge()] == [1, 0]
    assert tried == [first, second]
    assert list(Conversation.with_deleted.all()) == [first]
    assert f"conversation {first.pk} cannot be deleted: IntegrityError" in caplog.text


def test_it_can_be_undone_for_at_least_ten_seconds(settings):
    assert settings.UNDO_SECONDS >= 10 + 2


def test_purging_costs_one_query_while_there_is_nothing_to_do(conversation: Conversation):
    with CaptureQueriesContext(connection) as queries:
        assert actions.purge() == 0
    assert len(queries) == 1
    plan = Conversation.with_deleted.filter(deleted_at__lt=timezone.now()).explain()
    assert "conversation_deleted" in plan


def test_answers_are_stopped_at_once_and_stay_stopped_when_it_is_undone(ada: User):
    worker, claim = claimed(ada)
    conversation = Conversation.objects.get()
    waiting = queued(ada, "And?", conversation)
    deleted_at = actions.delete(conversation=conversation)
    waiting.refresh_from_db()
    assert waiting.status == Status.STOPPED
    running = Generation.objects.get(pk=claim.generation_id)
    assert running.stop_requested
    # Its worker ends it with the text that it has so far.
    assert finish(worker.pk, claim, Result(Status.STOPPED, "", "So far"), {})
    assert actions.restore(user=ada, deleted_at=deleted_at) == [conversation.pk]
    assert not Generation.objects.live().exists()
    assert Message.objects.get(pk=claim.message_id).content == "So far"


def test_a_resent_prompt_of_a_deleted_conversation_starts_no_other(reader: Client, ada: User):
    prompt = {"content": "Why?", "key": "7f1f8f7e-5a3b-4a52-9f0c-0d6b1c3c2a11"}
    first = reader.post("/conversations/", prompt).headers["Location"]
    actions.delete(conversation=Conversation.objects.get())
    again = reader.post("/conversations/", prompt)
    assert (again.status_code, again.headers["Location"]) == (302, first)
    assert Conversation.with_deleted.count() == 1


def test_several_are_deleted_at_once_except_those_under_a_legal_hold(ada: User):
    mine = [queued(ada, f"{number}?").conversation for number in range(3)]
    theirs = queued(person("bob")).conversation
    LegalHold.objects.create(conversation=mine[0], reason="Order 7")
    ids = [conversation.pk for conversation in (*mine, theirs)]
    deleted_at, deleted, held = actions.delete_several(user=ada, ids=ids)
    assert (deleted, held) == (2, 1)
    assert set(Conversation.objects.all()) == {mine[0], theirs}
    assert Generation.objects.live().filter(owner=ada).get().conversation == mine[0]
    assert set(actions.restore(user=ada, deleted_at=deleted_at)) == {mine[1].pk, mine[2].pk}


def test_a_hold_that_is_placed_before_it_is_gone_keeps_and_shows_it(ada: User, conversation: Conversation):
    actions.delete(conversation=conversation)
    LegalHold.objects.create(user=ada, reason="Order 7")
    pass_undo_time()
    assert actions.purge() == 0
    assert Conversation.objects.get() == conversation
    with pytest.raises(actions.Held, match=HELD):
        actions.delete(conversation=conversation)


def test_pins_beyond_the_limit_are_not_restored(ada: User):
    def pinned(title: str, hours: int) -> Conversation:
        at = timezone.now() - timedelta(hours=hours)
        return Conversation.objects.create(owner=ada, title=title, placement=Placement.PINNED, updated_at=at)

    old = pinned("Old", 1)
    deleted_at = actions.delete(conversation=old)
    for number in range(limits.PINNED):
        pinned(f"{number}", 0)
    actions.restore(user=ada, deleted_at=deleted_at)
    assert Conversation.objects.visible_to(ada).pinned().count() == limits.PINNED
    assert Conversation.objects.get(title="Old").placement == Placement.LISTED


@pytest.mark.postgresql
def test_deletions_and_folders_at_once_on_postgresql(postgresql_database: str):
    run_module("tests.organised_at_once", DATABASE_URL=postgresql_database)
