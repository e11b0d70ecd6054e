"""Links to conversations: what they show, to whom, until when, and the copies that readers make."""

import logging
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatsite.logs import JsonFormatter, TextFormatter
from conversations import actions, file_cleanup, limits
from conversations.actions import shares
from conversations.models import (
    Attachment,
    Conversation,
    Generation,
    LegalHold,
    Message,
    Share,
    SharedCopy,
    StoredFile,
    StoredText,
    User,
)
from conversations.models.share import hash_token
from conversations.review import audit
from conversations.review.models import AuditAction
from tests.factories import person, queued
from tests.review.factories import WORDS, make_conversation

pytestmark = pytest.mark.django_db
GONE = "This link does not work"


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def conversation(ada: User) -> Conversation:
    return make_conversation(ada)


@pytest.fixture
def reader() -> Client:
    return client_of(person("ben"))


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def share(conversation: Conversation, **choices: object) -> Share:
    defaults = {"audience": "members", "days": 30, "with_reasoning": False, "with_files": False}
    return actions.create_share(conversation=conversation, **(defaults | choices))


def url(share: Share) -> str:
    return f"/shared/{share.token}/"


def text(client: Client, path: str) -> str:
    response = client.get(path)
    return f"{response.status_code} {response.content.decode()}"


def answer_of(conversation: Conversation) -> Message:
    return conversation.leaf


def test_a_link_shows_questions_and_answers_and_only_what_was_chosen_besides(
    conversation: Conversation, reader: Client
):
    plain = text(reader, url(share(conversation)))
    assert WORDS["prompt"] in plain
    assert WORDS["answer"] in plain
    for kind in ("reasoning", "version", "name", "instructions", "everywhere", "title"):
        assert WORDS[kind] not in plain, kind
    full = text(reader, url(share(conversation, with_reasoning=True, with_files=True)))
    assert WORDS["reasoning"] in full
    assert f"{WORDS['name']}.txt" in full


def test_the_answer_to_every_request_keeps_the_address_to_itself(conversation: Conversation, ada: User, settings):
    settings.SHARING = "public"
    made = share(conversation, audience="public", with_files=True)
    file = Attachment.objects.get()
    for path in (
        "",
        "?page=2",
        f"files/{file.pk}/",
        f"files/{file.pk}/picture/",
        "copy/",
        f"messages/{conversation.leaf_id}/",
    ):
        for client in (Client(), client_of(ada)):
            response = client.get(url(made) + path)
            response.getvalue()  # of a file, which is closed then
            headers = response.headers
            assert headers["X-Robots-Tag"] == "noindex", path
            assert headers["Referrer-Policy"] in ("no-referrer", "strict-origin"), path
            assert set(headers["Cache-Control"].split(", ")) == {"private", "no-store"}, path
            assert "script-src" in headers["Content-Security-Policy"] or "sandbox" in headers["Content-Security-Policy"]
    assert Client().get(url(made)).headers["Referrer-Policy"] == "no-referrer"


def test_what_is_written_later_does_not_change_what_a_link_shows(conversation: Conversation, ada: User, reader: Client):
    answer = answer_of(conversation)
    Generation.objects.filter(message=answer).update(status="length")
    made = share(conversation, with_reasoning=True)
    before = text(reader, url(made)).split("<main")[1]
    assert "length limit" in before
    # As a continuation does, and then a new version, an edit, another question and another title.
    Generation.objects.create(
        conversation=conversation, message=answer, owner=ada, status="complete", joined_at=len(answer.content)
    )
    Message.objects.filter(pk=answer.pk).update(
        content=answer.content + " More.", reasoning=answer.reasoning + " More."
    )
    for message in (
        actions.regenerate(user=ada, message=answer),
        actions.edit(user=ada, prompt=answer.prompt, content="No!"),
    ):
        assert message.conversation == conversation
    queued(ada, "Secret?", conversation)
    actions.rename(conversation=conversation, title="Secret title")
    assert text(reader, url(made)).split("<main")[1] == before


def test_what_is_deleted_is_gone_from_the_link(conversation: Conversation, reader: Client):
    made = share(conversation, with_reasoning=True)
    assert WORDS["reasoning"] in text(reader, url(made))
    Message.objects.update(reasoning="", reasoning_words=0, outline=None)  # as retention does
    shown = text(reader, url(made))
    assert WORDS["answer"] in shown
    assert WORDS["reasoning"] not in shown
    deleted_at = actions.delete(conversation=conversation)
    assert text(reader, url(made)).startswith("404")
    actions.restore(user=conversation.owner, deleted_at=deleted_at)
    assert text(reader, url(made)) == shown
    actions.delete_at_once(conversation=conversation)
    assert text(reader, url(made)).startswith("404")
    assert not Share.objects.exists()


def think_again(answer: Message, thought: str) -> None:
    """Add to the answer as a continuation does."""
    before = Message.objects.get(pk=answer.pk)
    reasoning, content = before.joined_with(thought, " More.")
    Message.objects.filter(pk=answer.pk).update(reasoning=reasoning, content=content)


def shown_and_copied(made: Share, reader: Client) -> str:
    """Return all that a link shows, and the reasoning in a copy of it."""
    reader.post(f"{url(made)}copy/")
    copies = Message.objects.filter(conversation__source_id=str(made.pk))
    copied = " ".join(copies.values_list("reasoning", flat=True))
    return text(reader, url(made)) + text(reader, f"{url(made)}messages/{made.conversation.leaf_id}/") + copied


def test_a_thought_that_follows_deleted_reasoning_is_not_in_the_link(
    conversation: Conversation, ada: User, reader: Client, settings
):
    settings.RETAIN_REASONING_DAYS = 7
    made = share(conversation, with_reasoning=True)
    recent = make_conversation(ada)
    other = share(recent, with_reasoning=True)
    assert WORDS["reasoning"] in shown_and_copied(made, reader)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=timezone.now() - timedelta(days=8))
    Conversation.objects.filter(source_id=str(made.pk)).delete()
    call_command("prune", verbosity=0)
    think_again(answer_of(conversation), "Secretly, I think of something else")
    shown = shown_and_copied(Share.objects.get(pk=made.pk), reader)
    assert WORDS["answer"] in shown
    assert "Secretly" not in shown
    assert "Questions and answers, reasoning" not in text(client_of(ada), f"{conversation.get_absolute_url()}share/")
    assert WORDS["reasoning"] in shown_and_copied(other, reader)
    assert "Secretly" in text(reader, url(share(conversation, with_reasoning=True)))


def test_a_shorter_thought_than_the_one_that_was_shared_is_not_in_the_link(conversation: Conversation, reader: Client):
    made = share(conversation, with_reasoning=True)
    Message.objects.update(reasoning="", reasoning_words=0, outline=None)  # as an earlier version's retention does
    think_again(answer_of(conversation), "Secret")
    shown = shown_and_copied(made, reader)
    assert WORDS["answer"] in shown
    assert "Secret" not in shown


def test_reasoning_is_turned_off_in_links_from_before_it_was_deleted(conversation: Conversation, ada: User):
    other = make_conversation(ada)
    older, of_another = share(conversation, with_reasoning=True), share(other, with_reasoning=True)
    audit.record(audit.System(), AuditAction.PRUNED, conversations=[conversation], reasoning_only=1)
    audit.record(audit.System(), AuditAction.EXPORTED, conversations=[other])
    newer = share(conversation, with_reasoning=True)
    import_module("conversations.migrations.0040_reasoning_of_links").leave_out_deleted_reasoning(apps, None)
    assert set(Share.objects.filter(with_reasoning=True)) == {of_another, newer}
    assert Share.objects.filter(pk=older.pk).exists()


def test_links_are_deleted_with_their_owner_and_by_versions_that_do_not_know_them(conversation: Conversation):
    actions.copy_share(user=conversation.owner, share=share(conversation))
    conversation.owner.delete()
    assert not Share.objects.exists()
    assert not SharedCopy.objects.exists()
    eve = person("eve")
    other = Conversation.objects.create(owner=eve)
    for statement, pk in (
        ("delete from conversations_conversation where id = %s", other.pk.hex),
        ("delete from conversations_user where id = %s", eve.pk),
    ):
        Share.objects.create(owner=eve, conversation=other, token_hash="", pins=[], expires_at=timezone.now())
        SharedCopy.objects.create(owner=eve, made_at=timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(statement, [pk])
        assert not Share.objects.exists()
    assert not SharedCopy.objects.exists()


def test_all_links_that_do_not_work_are_the_same_page(conversation: Conversation, ada: User, reader: Client, settings):
    settings.SHARING = "public"
    now = timezone.now()
    ends = {
        "revoked": {"revoked_at": now},
        "ended": {"ended_at": now, "end_reason": "Personal data"},
        "expired": {"expires_at": now - timedelta(seconds=1)},
    }
    tokens = ["wrong", "0" * 32]
    for changes in ends.values():
        made = share(conversation, audience="public")
        assert Client().get(url(made)).status_code == 200
        Share.objects.filter(pk=made.pk).update(**changes)
        tokens.append(made.token)
    for client in (Client(), reader, client_of(ada)):
        pages = {
            text(client, f"/shared/{token}/{path}") for token in tokens for path in ("", "copy/", f"files/{made.pk}/")
        }
        [page] = pages
        assert page.startswith("404")
        assert GONE in page


def test_deactivation_of_the_owner_and_the_setting_take_effect_at_once(
    conversation: Conversation, ada: User, reader, settings
):
    settings.SHARING = "public"
    made = share(conversation, audience="public")
    assert Client().get(url(made)).status_code == 200
    settings.SHARING = "members"
    assert Client().get(url(made)).status_code == 302
    assert reader.get(url(made)).status_code == 200
    settings.SHARING = "off"
    assert reader.get(url(made)).status_code == Client().get(url(made)).status_code == 404
    owner = client_of(ada)
    assert owner.get(f"{conversation.get_absolute_url()}share/").status_code == 404
    assert owner.post(f"{conversation.get_absolute_url()}share/").status_code == 404
    assert "no link works" in text(owner, "/shares/")
    settings.SHARING = "public"
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert reader.get(url(made)).status_code == Client().get(url(made)).status_code == 404


def test_a_public_link_cannot_be_made_where_the_setting_forbids_it(conversation: Conversation, ada: User):
    page = client_of(ada)
    form = f"{conversation.get_absolute_url()}share/"
    assert "without signing in" not in text(page, form)
    assert page.post(form, {"audience": "public"}).status_code == 422
    with pytest.raises(actions.Refused):
        share(conversation, audience="public")


def test_readers_of_a_members_link_sign_in_first_and_return(conversation: Conversation):
    made = share(conversation)
    ben = person("ben")
    client = Client()
    response = client.get(url(made))
    assert response.headers["Location"] == f"/accounts/login/?next={url(made)}"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    signed_in = client.post(response.headers["Location"], {"login": ben.username, "password": "pw", "next": url(made)})
    assert signed_in.headers["Location"] == url(made)
    assert WORDS["answer"] in text(client, url(made))


def test_only_the_owner_creates_sees_and_revokes_links(conversation: Conversation, ada: User, reader: Client):
    form = f"{conversation.get_absolute_url()}share/"
    assert reader.get(form).status_code == reader.post(form).status_code == 404
    owner = client_of(ada)
    response = owner.post(form)
    made = Share.objects.get()
    assert response.headers["Location"] == f"{form}#share-{made.pk}"
    assert (made.audience, made.with_reasoning, made.with_files) == ("members", False, False)
    assert timedelta(days=29) < made.expires_at - timezone.now() < timedelta(days=31)
    for page in (form, "/shares/"):
        assert f"http://testserver{url(made)}" in text(owner, page)
    assert made.token not in text(reader, "/shares/")
    assert reader.post(f"/shares/{made.pk}/revoke/").status_code == 404
    assert reader.get(url(made)).status_code == 200
    assert owner.get(f"/shares/{made.pk}/revoke/").status_code == 405
    assert owner.post(f"/shares/{made.pk}/revoke/").status_code == 302
    assert reader.get(url(made)).status_code == 404
    assert "You revoked this link" in text(owner, "/shares/")


def test_the_list_takes_as_many_queries_for_many_links_as_for_one(conversation: Conversation, ada: User):
    owner = client_of(ada)
    numbers = []
    for _ in range(2):
        share(conversation)
        share(make_conversation(ada))
        with CaptureQueriesContext(connection) as queries:
            owner.get("/shares/")
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_an_expiry_is_one_of_the_choices(conversation: Conversation, ada: User):
    form = f"{conversation.get_absolute_url()}share/"
    assert client_of(ada).post(form, {"days": "366"}).status_code == 422
    assert client_of(ada).post(form, {"days": "365"}).status_code == 302
    assert Share.objects.get().expires_at <= timezone.now() + timedelta(days=365)


def test_the_token_is_not_in_the_database_and_its_owner_can_see_it_again(
    conversation: Conversation, ada: User, settings
):
    made = share(conversation)
    token = made.token
    assert token not in str(Share.objects.values().get())
    assert Share.objects.get().token_hash == hash_token(token)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "n" * 50
    settings.SECRET_KEY_FALLBACKS = [old]
    assert made.token == token
    settings.SECRET_KEY_FALLBACKS = []
    assert made.token == ""
    assert "cannot be shown again" in text(client_of(ada), "/shares/")
    assert client_of(person("ben")).get(f"/shared/{token}/").status_code == 200


def test_visits_of_others_are_counted_with_one_statement(
    conversation: Conversation, ada: User, reader: Client, django_assert_num_queries
):
    made = share(conversation)
    client_of(ada).get(url(made))
    reader.head(url(made))
    reader.get(f"{url(made)}messages/{conversation.leaf_id}/")
    assert Share.objects.get().visits == 0
    Message.objects.update(reasoning_words=3)  # as generations leave it
    with django_assert_num_queries(8):  # session, person, share, tree, generations, messages, files, the visit
        reader.get(url(made))
    assert Share.objects.get().visits == 1
    with django_assert_num_queries(1):
        assert made.count_visit()


def test_a_link_that_ends_while_it_is_opened_is_not_shown(conversation: Conversation, reader: Client, monkeypatch):
    made = share(conversation)
    monkeypatch.setattr(Share, "read", lambda self, pins: actions.revoke_share(share=self) or [conversation.leaf])
    assert reader.get(url(made)).status_code == 404


def test_long_conversations_have_pages_and_long_texts_pages_of_their_own(ada: User, reader: Client):
    conversation = make_conversation(ada)
    last = conversation.leaf
    for number in range(40):
        last = Message.objects.create(
            conversation=conversation, parent=last, role="user", content=f"Question{number:02}."
        )
    Message.objects.filter(pk=last.pk).update(content="long " * 40_000 + "theend")
    Conversation.objects.filter(pk=conversation.pk).update(leaf=last)
    made = share(conversation)
    first, second = text(reader, url(made)), text(reader, f"{url(made)}?page=2")
    assert "Question00." in first
    assert "Question30." not in first
    assert "?page=2" in first
    assert "Question30." in second
    assert "theend" not in second
    assert f"{url(made)}messages/{last.pk}/" in second
    assert "theend" in text(reader, f"{url(made)}messages/{last.pk}/")
    assert GONE in text(reader, f"{url(made)}?page=3")
    assert GONE in text(reader, f"{url(made)}messages/{queued(ada).message_id}/")


def test_files_are_served_through_the_link_only_if_they_were_chosen(
    conversation: Conversation, ada: User, reader: Client
):
    file = Attachment.objects.get()
    without, chosen = share(conversation), share(conversation, with_files=True)
    assert reader.get(f"{url(without)}files/{file.pk}/").status_code == 404
    response = reader.get(f"{url(chosen)}files/{file.pk}/")
    own = client_of(ada).get(f"/attachments/{file.pk}/")
    assert b"".join(response.streaming_content) == b"".join(own.streaming_content) == WORDS["file"].encode()
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Content-Disposition", "Content-Type"):
        assert response.headers[name] == own.headers[name]
    assert reader.get(f"{url(chosen)}files/{file.pk}/picture/").status_code == 404
    other = make_conversation(ada, file="Another.")
    foreign = Attachment.objects.get(message__conversation=other)
    assert reader.get(f"{url(chosen)}files/{foreign.pk}/").status_code == 404
    actions.revoke_share(share=chosen)
    assert reader.get(f"{url(chosen)}files/{file.pk}/").status_code == 404


def test_a_conversation_is_shared_when_its_answers_have_ended(ada: User):
    generation = queued(ada)
    with pytest.raises(actions.Refused, match="still being written"):
        share(generation.conversation)


def test_a_person_has_a_limited_number_of_links(conversation: Conversation, ada: User, monkeypatch):
    monkeypatch.setattr(shares, "ACTIVE_SHARES", 2)
    monkeypatch.setattr(shares, "ENDED_SHARES", 1)
    first, _ = share(conversation), share(conversation)
    page = client_of(ada).post(f"{conversation.get_absolute_url()}share/")
    assert page.status_code == 422
    assert "You have 2 links that work" in page.content.decode()
    actions.revoke_share(share=first)
    for _ in range(3):
        actions.revoke_share(share=share(conversation))
    assert Share.objects.ended().count() == 2  # the oldest is deleted when there is another
    LegalHold.objects.create(conversation=conversation, reason="Order")
    actions.revoke_share(share=share(conversation))
    share(conversation)
    assert Share.objects.ended().count() == 3


def test_links_of_a_conversation_whose_deletion_can_be_undone_count(conversation: Conversation, ada: User, monkeypatch):
    monkeypatch.setattr(shares, "ACTIVE_SHARES", 1)
    share(conversation)
    actions.delete(conversation=conversation)
    with pytest.raises(actions.Refused, match="links that work"):
        share(make_conversation(ada))


def test_a_legal_hold_keeps_what_is_shared_and_links_can_still_be_revoked(conversation: Conversation, reader: Client):
    made = share(conversation)
    LegalHold.objects.create(conversation=conversation, reason="Order")
    with pytest.raises(actions.Held):
        actions.delete_at_once(conversation=conversation)
    assert reader.get(url(made)).status_code == 200
    actions.revoke_share(share=made)
    assert reader.get(url(made)).status_code == 404
    assert Share.objects.filter(pk=made.pk).exists()


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_no_log_has_the_token(conversation: Conversation, formatter: logging.Formatter, settings, caplog, monkeypatch):
    settings.SHARING = "public"
    made = share(conversation, audience="public")

    def fail(*_: object) -> None:
        raise RuntimeError(f"no route to {url(made)}")

    monkeypatch.setattr(Share, "read", fail)
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    assert client.get(url(made)).status_code == 500
    assert client.post(f"{url(made)}copy/").status_code == 403
    assert client.post(f"/accounts/login/?next=%2Fshared%2F{made.token}%2F").status_code == 403
    logging.getLogger("django.request").error("%s", f"/accounts/login/?next=%2Fshared%2F{made.token}%2F")
    assert any(made.token in record.getMessage() for record in caplog.records)
    lines = "".join(formatter.format(record) for record in caplog.records)
    assert "shared/…" in lines or "shared/\\u2026" in lines
    assert made.token not in lines


def test_a_copy_is_the_readers_own_and_stays_after_the_original_is_deleted(
    conversation: Conversation, ada: User, reader: Client
):
    made = share(conversation, with_reasoning=True, with_files=True)
    assert reader.get(f"{url(made)}copy/").headers["Referrer-Policy"] == "strict-origin"
    response = reader.post(f"{url(made)}copy/")
    copy = Conversation.objects.exclude(pk=conversation.pk).get()
    assert response.headers["Location"] == copy.get_absolute_url()
    ben = copy.owner
    assert ben.username == "ben"
    assert (copy.imported_from, copy.source_id) == ("shared", str(made.pk))
    assert copy.title == WORDS["prompt"]
    assert not Generation.objects.filter(conversation=copy).exists()
    actions.delete_at_once(conversation=conversation)
    file_cleanup.clean_up()
    page = text(reader, copy.get_absolute_url())
    assert "Imported from a shared link on" in page
    assert WORDS["answer"] in page
    for path in ("reasoning/", "details/", "whole/", "edit/"):
        pk = copy.leaf_id if path != "edit/" else copy.leaf.parent_id
        assert reader.get(f"/messages/{pk}/{path}").status_code == 200, path
    assert WORDS["reasoning"] in text(reader, f"/messages/{copy.leaf_id}/reasoning/")
    assert "imported from a shared link" in text(reader, f"/messages/{copy.leaf_id}/details/")
    [file] = Attachment.objects.visible_to(ben)
    assert b"".join(reader.get(f"/attachments/{file.pk}/").streaming_content) == WORDS["file"].encode()
    assert client_of(ada).get(copy.get_absolute_url()).status_code == 404
    assert queued(ben, "And then?", copy).conversation == copy
    assert actions.regenerate(user=ben, message=copy.leaf).conversation == copy


def test_a_file_is_stored_once_and_deleted_with_the_last_copy(conversation: Conversation, reader: Client):
    made = share(conversation, with_files=True)
    reader.post(f"{url(made)}copy/")
    first, second = StoredFile.objects.order_by("pk")
    assert first.file_name == second.file_name
    assert len(default_storage.listdir("files")[1]) == 1
    counted = StoredText.objects.get(user=second.owner).bytes
    assert counted >= second.bytes == first.bytes > 0
    copy = Conversation.objects.exclude(pk=conversation.pk).get()
    actions.delete_at_once(conversation=conversation)
    file_cleanup.clean_up()
    assert StoredFile.objects.get() == second
    assert len(default_storage.listdir("files")[1]) == 1
    actions.delete_at_once(conversation=copy)
    file_cleanup.clean_up()
    assert not StoredFile.objects.exists()
    assert default_storage.listdir("files")[1] == []
    assert StoredText.objects.get(user=copy.owner).bytes == 0


def test_the_copies_can_be_deleted_first_and_both_at_once(conversation: Conversation, reader: Client):
    made = share(conversation, with_files=True)
    reader.post(f"{url(made)}copy/")
    reader.post(f"{url(made)}copy/")  # shares the row of the first copy
    assert StoredFile.objects.count() == 2
    one, two = Conversation.objects.exclude(pk=conversation.pk)
    actions.delete_at_once(conversation=one)
    actions.delete_at_once(conversation=two)
    file_cleanup.clean_up()
    assert StoredFile.objects.get().owner == conversation.owner
    assert len(default_storage.listdir("files")[1]) == 1
    reader.post(f"{url(made)}copy/")
    for each in Conversation.objects.all():
        actions.delete_at_once(conversation=each)
    file_cleanup.clean_up()
    assert default_storage.listdir("files")[1] == []


def test_a_copy_has_only_what_the_link_shows(conversation: Conversation, reader: Client):
    reader.post(f"{url(share(conversation))}copy/")
    copy = Conversation.objects.exclude(pk=conversation.pk).get()
    assert {message.reasoning for message in copy.messages.all()} == {""}
    assert [message.content for message in copy.messages.order_by("pk")] == [WORDS["prompt"], WORDS["answer"]]
    assert not Attachment.objects.filter(message__conversation=copy).exists()


def test_a_copy_says_where_there_was_no_answer(conversation: Conversation, ada: User, reader: Client):
    actions.stop(generation=queued(ada, "And then?", conversation))
    conversation.refresh_from_db()
    copy = actions.copy_share(user=User.objects.get(username="ben"), share=share(conversation))
    assert "What was imported has no answer here." in text(reader, copy.get_absolute_url())


def test_quotas_apply_to_copies(conversation: Conversation, reader: Client, monkeypatch):
    made = share(conversation)
    monkeypatch.setattr(limits, "STORED_BYTES", 3)
    refused = reader.post(f"{url(made)}copy/")
    assert refused.status_code == 422
    assert "then copy it again" in refused.content.decode()
    assert Conversation.objects.count() == 1
    monkeypatch.setattr(limits, "STORED_BYTES", 10_000)
    monkeypatch.setattr(shares, "COPIES_PER_DAY", 1)
    assert reader.post(f"{url(made)}copy/").status_code == 302
    assert "1 copies in the last 24 hours" in reader.post(f"{url(made)}copy/").content.decode()


def test_copies_count_for_a_day_also_if_they_are_deleted(conversation: Conversation, ada: User, monkeypatch):
    monkeypatch.setattr(shares, "COPIES_PER_DAY", 2)
    made, ben = share(conversation), person("ben")
    with monkeypatch.context() as full:
        full.setattr(limits, "STORED_BYTES", 3)
        with pytest.raises(actions.Refused):  # which does not count
            actions.copy_share(user=ben, share=made)
    for _ in range(2):
        actions.delete_at_once(conversation=actions.copy_share(user=ben, share=made))
    with pytest.raises(actions.Refused, match="2 copies in the last 24 hours"):
        actions.copy_share(user=ben, share=made)
    assert actions.copy_share(user=ada, share=made)  # nobody else is limited
    first = SharedCopy.objects.filter(owner=ben).order_by("pk")[:1]
    SharedCopy.objects.filter(pk__in=first).update(made_at=timezone.now() - timedelta(days=1))
    assert actions.copy_share(user=ben, share=made)
    with pytest.raises(actions.Refused):
        actions.copy_share(user=ben, share=made)
    assert SharedCopy.objects.filter(owner=ben).count() == 2  # older rows are not kept


def test_what_does_not_fit_is_not_copied_to_its_end(conversation: Conversation, monkeypatch):
    made, ben = share(conversation), person("ben")
    monkeypatch.setattr(shares, "BATCH", 1)
    monkeypatch.setattr(limits, "STORED_BYTES", 3)
    with CaptureQueriesContext(connection) as queries, pytest.raises(actions.Refused):
        actions.copy_share(user=ben, share=made)
    written = [query for query in queries if query["sql"].startswith('INSERT INTO "conversations_message"')]
    assert len(written) == 1


def test_nobody_copies_before_they_sign_in(conversation: Conversation, settings):
    settings.SHARING = "public"
    made = share(conversation, audience="public")
    assert Client().get(url(made)).status_code == 200
    assert Client().post(f"{url(made)}copy/").headers["Location"] == f"/accounts/login/?next={url(made)}copy/"
    assert Conversation.objects.count() == 1
