"""Archives of everything that somebody owns: made, downloaded, imported elsewhere, deleted. See also tests/faults."""

import errno
import io
import json
import random
import threading
import tracemalloc
import zipfile
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone

from conversations import actions, file_cleanup, storage
from conversations.actions import Refused
from conversations.archives import PER_DAY, builder, request_archive
from conversations.importing import Report, import_file
from conversations.models import (
    Archive,
    ArchiveState,
    Attachment,
    Conversation,
    Depth,
    Feedback,
    Folder,
    Generation,
    Instructions,
    LegalHold,
    Message,
    Rating,
    Role,
    Status,
    StoredFile,
    User,
)
from tests.factories import api_token, attached, person, unsent
from tests.review.factories import WORDS, make_conversation
from tests.views.test_export import SCHEMA

pytestmark = pytest.mark.django_db
GOING_ON = threading.Event()  # never set: the process is not ending


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()


def archive_of(user: User, *, reasoning: bool = True) -> Archive:
    Archive.objects.visible_to(user).update(created_at=timezone.now() - timedelta(days=2))
    archive = request_archive(user=user, reasoning=reasoning)
    builder.do_round(GOING_ON)
    archive.refresh_from_db()
    assert archive.state == ArchiveState.READY
    return archive


def content(archive: Archive) -> zipfile.ZipFile:
    with default_storage.open(archive.file_name) as file:
        data = file.read()
    assert archive.size == len(data)
    return zipfile.ZipFile(io.BytesIO(data))


def stored_archives() -> list[str]:
    return sorted(default_storage.listdir("archives")[1]) if default_storage.exists("archives") else []


def moved(user: User, other: User) -> Report:
    """Import the archive of one person for another."""
    with default_storage.open(archive_of(user).file_name) as file:
        return import_file(user=other, file=file)


def conversations_in(archive: Archive) -> list[dict[str, Any]]:
    """Return the JSON of all conversations, as the schema allows it and without what a round trip may change."""
    found = []
    with content(archive) as opened:
        for name in opened.namelist():
            if name.startswith("conversations/") and name.endswith(".json"):
                record = json.loads(opened.read(name))
                SCHEMA.validate(record)
                found.append(comparable(record))
    return sorted(found, key=lambda record: json.dumps(record))


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Return an export without what docs/export.md says that a round trip changes; ids become places."""
    places = {message["id"]: place for place, message in enumerate(record["messages"])}
    messages = [
        message | {"id": places[message["id"]], "parent": places.get(message["parent"]), "imported": None}
        for message in record["messages"]
    ]
    changed = {"id": None, "exported_at": None, "imported": None, "shown_up_to": places[record["shown_up_to"]]}
    return record | changed | {"messages": messages}


def test_an_archive_has_everything_that_somebody_owns():
    ada = person()
    conversation = make_conversation(ada, title="<b>Title</b>")
    answer = Message.objects.get(pk=conversation.leaf_id)
    actions.give_feedback(message=answer, rating="bad", comment="Wrong.", shared=False)
    unsent(ada, "Not sent", "later.txt")
    make_conversation(person("ben"), title="Hers", prompt="Secret")
    opened = content(archive_of(ada))
    names = set(opened.namelist())
    assert {f"conversations/{conversation.pk}.json", f"conversations/{conversation.pk}.html"} <= names
    assert len([name for name in names if name.startswith("conversations/")]) == 2
    files = [name for name in names if name.startswith("files/")]
    assert {opened.read(name).decode() for name in files} == {WORDS["file"], "Not sent"}
    assert all(name.endswith(".txt") for name in files)
    account = json.loads(opened.read("account.json"))
    assert account["username"] == "ada"
    assert account["instructions"][0]["content"] == WORDS["everywhere"]
    assert account["feedback"][0]["comment"] == "Wrong."
    assert account["unsent_files"][0]["name"] == "later.txt"
    assert account["preferences"]["depth"] is None
    index = opened.read("index.html").decode()
    assert "Theme: as the device" in index
    assert "Reasoning is shown: while the model thinks" in index
    assert f'href="conversations/{conversation.pk}.html"' in index
    assert "&lt;b&gt;Title" in index
    page = opened.read(f"conversations/{conversation.pk}.html").decode()
    assert WORDS["reasoning"] in page
    assert f'href="../{files[0]}"' in page or f'href="../{files[1]}"' in page
    assert not any("Secret" in opened.read(name).decode() for name in names)


def test_an_archive_has_no_secrets(client: Client):
    ada = person()
    client.force_login(ada)
    client.get("/")
    token, secret = api_token(ada, name="Backup")
    account = content(archive_of(ada)).read("account.json").decode()
    assert len(json.loads(account)["sessions"]) == 1
    assert json.loads(account)["api_tokens"][0]["name"] == "Backup"
    assert secret not in account
    assert token.digest not in account
    assert client.session.session_key not in account
    assert ada.password not in account


def test_reasoning_is_left_out_by_choice():
    ada = person()
    make_conversation(ada)
    opened = content(archive_of(ada, reasoning=False))
    texts = "".join(opened.read(name).decode() for name in opened.namelist())
    assert WORDS["answer"] in texts
    assert WORDS["reasoning"] not in texts


def random_conversation(owner: User, chance: random.Random) -> None:
    """Make a tree of questions and answers with all that they can have."""
    texts = ("", "Why?", "é 字 😀\r\n", "<details>\\", '"quoted"', "x" * 3_000, " ")
    conversation = Conversation.objects.create(owner=owner, title=chance.choice(texts[1:])[:80])
    if chance.random() < 0.5:
        version = Instructions.objects.create(owner=owner, conversation=conversation, content="In verse.")
        Conversation.objects.filter(pk=conversation.pk).update(instructions=version)
    answers: list[Message] = []
    for number in range(chance.randint(1, 12)):
        parent = chance.choice([None, *answers])
        asked = chance.choice(texts)
        prompt = Message.objects.create(conversation=conversation, parent=parent, role=Role.USER, content=asked)
        for name in chance.sample(["a.txt", "b.txt", "é.txt"], chance.randint(0, 2)):
            attached(prompt, f"Text {chance.randint(1, 3)}", name)
        for _ in range(chance.randint(1, 2)):
            thought = chance.choice(texts)
            answer = Message.objects.create(
                conversation=conversation,
                parent=prompt,
                role=Role.ASSISTANT,
                content=chance.choice(texts),
                reasoning=thought,
            )
            answers.append(answer)
            for _ in range(chance.randint(0, 2)):
                Generation.objects.create(
                    message=answer,
                    conversation=conversation,
                    owner=owner,
                    status=chance.choice([Status.COMPLETE, Status.STOPPED, Status.FAILED]),
                    error=chance.choice(texts),
                    model="m",
                    depth=chance.choice([None, "", *Depth.values]),
                    prompt_tokens=chance.choice([None, number]),
                    tokens_estimated=chance.choice([None, True, False]),
                    finished_at=chance.choice([None, timezone.now()]),
                )
            if chance.random() < 0.3:
                rating = chance.choice(Rating.values)
                Feedback.objects.create(message=answer, conversation=conversation, rating=rating)
    if chance.random() < 0.5:
        folder, _ = Folder.objects.get_or_create(owner=owner, name="Maths", key="maths")
        Conversation.objects.filter(pk=conversation.pk).update(folder=folder)
    times = {"updated_at": timezone.now() - timedelta(days=chance.randint(0, 900)), "leaf": chance.choice(answers)}
    Conversation.objects.filter(pk=conversation.pk).update(**times, placement=chance.choice([0, 1]))


@pytest.mark.parametrize("seed", range(4))
def test_a_round_trip_is_the_identity(seed: int):
    chance = random.Random(seed)  # noqa: S311
    ada, ben, carol = person(), person("ben"), person("carol")
    for _ in range(5):
        random_conversation(ada, chance)
    report = moved(ada, ben)
    assert (report.conversations, report.skipped, report.stopped) == (5, 0, ""), report
    first = conversations_in(archive_of(ada))
    assert conversations_in(archive_of(ben)) == first
    moved(ben, carol)
    assert conversations_in(archive_of(carol)) == first
    assert not Generation.objects.exclude(owner=ada).exists()
    assert not Attachment.objects.unsent().exists()


def test_an_archive_that_is_imported_where_it_comes_from_adds_nothing():
    ada = person()
    make_conversation(ada)
    report = moved(ada, ada)
    assert (report.conversations, report.already_here) == (0, 1)
    Message.objects.filter(content=WORDS["answer"]).update(content="Changed since")
    conversation = ada.conversations.get()
    with default_storage.open(Archive.objects.get(state=ArchiveState.READY).file_name) as file:
        assert import_file(user=ada, file=file).conversations == 1
    assert ada.conversations.count() == 2
    assert ada.conversations.exclude(pk=conversation.pk).get().source_id == str(conversation.pk)


def test_an_import_that_is_killed_leaves_no_files_to_send(client: Client, monkeypatch: pytest.MonkeyPatch):
    ada, ben = person(), person("ben")
    make_conversation(ada)
    monkeypatch.setattr("conversations.importing.run.write", kill := Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr("conversations.importing.run._release", Mock())
    with pytest.raises(KeyboardInterrupt):
        moved(ada, ben)
    assert kill.called
    left = Attachment.objects.visible_to(ben).unsent().get()
    client.force_login(ben)
    assert str(left.pk) not in client.get("/").text
    stored = unsent(ben, "Mine", "mine.txt")  # of the one file that may wait here, none is left
    assert list(Attachment.objects.visible_to(ben).in_composers()) == [stored]
    Attachment.objects.update(created_at=timezone.now() - timedelta(days=2))
    file_cleanup.clean_up()
    assert not Attachment.objects.visible_to(ben).exists()


def test_a_file_that_was_changed_in_the_archive_is_not_imported():
    ada, ben = person(), person("ben")
    make_conversation(ada)
    opened, changed = content(archive_of(ada)), io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name in opened.namelist():
            archive.writestr(name, b"Other" if name.startswith("files/") else opened.read(name))
    report = import_file(user=ben, file=changed)
    assert (report.conversations, report.files) == (1, 0)
    assert report.omitted == {"files: A file is not the one that was exported.": 1}
    assert not StoredFile.objects.filter(owner=ben).exists()


def test_an_imported_question_has_no_more_files_than_others():
    ada, ben = person("ada"), person("ben")
    make_conversation(ada)
    opened, changed = content(archive_of(ada)), io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name in opened.namelist():
            text = opened.read(name).decode()
            if name.startswith("conversations/") and name.endswith(".json"):
                record = json.loads(text)
                for message in record["messages"]:
                    message["attachments"] *= 12
                text = json.dumps(record)
            archive.writestr(name, text)
    assert import_file(user=ben, file=changed).omitted == {"files": 2}
    assert Attachment.objects.filter(owner=ben).count() == 10


@pytest.mark.parametrize("name", ["", "..", "a/", "a." + "é" * 150])
def test_a_file_is_imported_whatever_its_name(name: str):
    ada, ben = person("ada"), person("ben")
    make_conversation(ada)
    opened, changed = content(archive_of(ada)), io.BytesIO()
    named = json.dumps({"name": name})[1:-1].encode()
    with zipfile.ZipFile(changed, "w") as archive:
        for entry in opened.namelist():
            archive.writestr(entry, opened.read(entry).replace(b'"name": "notes.txt"', named))
    assert import_file(user=ben, file=changed).files == 1
    assert Attachment.objects.get(owner=ben).name == (name or "file")


def test_one_archive_at_a_time_and_a_few_in_a_day():
    ada = person()
    request_archive(user=ada, reasoning=True)
    with pytest.raises(Refused, match="already in progress"):
        request_archive(user=ada, reasoning=True)
    request_archive(user=person("ben"), reasoning=True)
    for _ in range(PER_DAY - 1):
        builder.do_round(GOING_ON)
        builder.do_round(GOING_ON)
        request_archive(user=ada, reasoning=True)
    builder.do_round(GOING_ON)
    with pytest.raises(Refused, match="in 24 hours"):
        request_archive(user=ada, reasoning=True)
    Archive.objects.update(created_at=timezone.now() - timedelta(hours=25))
    request_archive(user=ada, reasoning=True)


def test_a_new_archive_replaces_the_one_before():
    ada = person()
    first, second = archive_of(ada), archive_of(ada)
    builder.do_round(GOING_ON)
    assert stored_archives() == [second.file_name.removeprefix("archives/")]
    assert Archive.objects.get(pk=first.pk).state == ArchiveState.DELETED


def test_an_archive_expires(client: Client):
    ada = person()
    archive = archive_of(ada)
    client.force_login(ada)
    assert b"".join(client.get(f"/account/data/{archive.pk}/").streaming_content)[:2] == b"PK"
    Archive.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get(f"/account/data/{archive.pk}/").status_code == 404
    builder.do_round(GOING_ON)
    assert stored_archives() == []
    assert not Archive.objects.exists()


@pytest.mark.parametrize("state", [ArchiveState.READY, ArchiveState.QUEUED, ArchiveState.WRITING])
def test_the_account_takes_its_archives_with_it(state: ArchiveState):
    ada = person()
    archive_of(ada)
    Archive.objects.update(state=state, beat_at=timezone.now() - timedelta(minutes=5))
    ada.delete()
    for _ in range(2):
        builder.do_round(GOING_ON)
    assert stored_archives() == []
    assert not Archive.objects.exists()


def test_the_database_keeps_the_row_of_a_user_that_an_earlier_version_deletes():
    """It is needed to delete the file."""
    ada = person()
    archive_of(ada)
    ada.emailaddress_set.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("delete from conversations_user where id = %s", [ada.pk])
    assert Archive.objects.get().owner is None


def test_a_legal_hold_does_not_keep_somebody_from_their_own_data():
    ada = person()
    make_conversation(ada)
    LegalHold.objects.create(user=ada, reason="Order")
    assert len(conversations_in(archive_of(ada))) == 1


def test_an_archive_whose_process_died_is_made_again_and_given_up_after_some_attempts():
    archive = request_archive(user=person(), reasoning=True)
    Archive.objects.update(state=ArchiveState.WRITING, attempt=1, beat_at=timezone.now())
    storage.write_stream(f"archives/{archive.pk}-1", iter([b"half"]))
    builder.do_round(GOING_ON)
    assert Archive.objects.get().state == ArchiveState.WRITING  # perhaps it goes on
    late = timezone.now() - timedelta(seconds=builder.LEASE_SECONDS + 1)
    Archive.objects.update(beat_at=late)
    builder.do_round(GOING_ON)
    assert Archive.objects.get().state == ArchiveState.READY
    assert stored_archives() == [f"{archive.pk}-2"]
    Archive.objects.update(state=ArchiveState.WRITING, attempt=builder.ATTEMPTS, beat_at=late)
    builder.do_round(GOING_ON)
    failed = Archive.objects.get()
    assert (failed.state, failed.error) == (ArchiveState.FAILED, builder.FAILED)


def test_a_process_that_ends_leaves_the_archive_to_the_next():
    make_conversation(ada := person())
    archive = request_archive(user=ada, reasoning=True)
    ending = threading.Event()
    ending.set()
    builder.do_round(ending)
    assert Archive.objects.get().state == ArchiveState.QUEUED
    assert stored_archives() == []
    builder.do_round(GOING_ON)
    assert stored_archives() == [f"{archive.pk}-2"]


def test_a_process_that_has_lost_an_archive_does_not_finish_it(monkeypatch: pytest.MonkeyPatch):
    make_conversation(ada := person())
    monkeypatch.setattr(builder, "BEAT_SECONDS", 0)
    request_archive(user=ada, reasoning=True)
    parts = builder.archive_parts

    def lose(*args: Any, **kwargs: Any) -> Any:
        yield from parts(*args, **kwargs)
        Archive.objects.update(attempt=2)  # another process took over
        yield b"more"

    monkeypatch.setattr(builder, "archive_parts", lose)
    builder.do_round(GOING_ON)
    archive = Archive.objects.get()
    assert (archive.state, archive.attempt) == (ArchiveState.WRITING, 2)
    assert stored_archives() == []


def test_a_storage_that_fails_is_tried_again_later(tmp_path):
    request_archive(user=person(), reasoning=True)
    (tmp_path / "files").write_text("not a folder")
    with pytest.raises(storage.StorageError):
        builder.do_round(GOING_ON)
    assert Archive.objects.get().state == ArchiveState.WRITING
    (tmp_path / "files").unlink()
    Archive.objects.update(beat_at=timezone.now() - timedelta(seconds=builder.LEASE_SECONDS + 1))
    builder.do_round(GOING_ON)
    assert Archive.objects.get().state == ArchiveState.READY


def test_a_full_storage_keeps_no_part_of_an_archive_and_another_can_be_asked_for(monkeypatch: pytest.MonkeyPatch):
    def full(*args: Any, **kwargs: Any) -> Any:
        yield b"x" * 100_000
        raise OSError(errno.ENOSPC, "No space left on device")

    make_conversation(ada := person())
    with monkeypatch.context() as patched:
        patched.setattr(builder, "archive_parts", full)
        patched.setattr(builder, "ATTEMPTS", 1)
        for _ in range(PER_DAY):
            request_archive(user=ada, reasoning=True)
            with pytest.raises(storage.StorageError):
                builder.do_round(GOING_ON)
            assert stored_archives() == []
    assert set(Archive.objects.values_list("state", flat=True)) == {ArchiveState.FAILED}
    archive = request_archive(user=ada, reasoning=True)
    builder.do_round(GOING_ON)
    archive.refresh_from_db()
    assert archive.state == ArchiveState.READY


def test_a_file_that_the_storage_has_lost_is_named():
    make_conversation(ada := person())
    default_storage.delete(StoredFile.objects.get().file_name)
    index = content(archive_of(ada)).read("index.html").decode()
    assert "no longer has these files" in index
    assert "notes.txt" in index


def test_an_archive_that_cannot_be_made_fails_with_a_sentence(client: Client, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ValueError

    monkeypatch.setattr(builder, "archive_parts", fail)
    ada = person()
    request_archive(user=ada, reasoning=True)
    builder.do_round(GOING_ON)
    client.force_login(ada)
    assert "The archive could not be created" in client.get("/account/data/").text


def test_only_its_owner_gets_an_archive(client: Client):
    ada = person()
    make_conversation(ada)
    url = f"/account/data/{archive_of(ada).pk}/"
    assert client.get(url).status_code == 302
    client.force_login(person("eve"))
    assert client.get(url).status_code == 404
    assert url not in client.get("/account/data/").text
    client.force_login(ada)
    assert url in client.get("/account/data/").text
    response = client.get(url)
    assert response.headers["Content-Type"] == "application/zip"
    assert response.headers["Cache-Control"] == "private, no-store"
    assert len(b"".join(response.streaming_content)) == Archive.objects.get().size


def test_the_page_asks_for_an_archive_and_says_when_it_is_too_early(client: Client):
    ada = person()
    client.force_login(ada)
    assert client.post("/account/data/", {"reasoning": "1"}).status_code == 302
    assert "In progress" in client.get("/account/data/").text
    page = client.post("/account/data/", follow=True)
    assert "already in progress" in page.text
    assert Archive.objects.get().reasoning


def test_memory_does_not_grow_with_the_archive():
    ada = person()
    conversation = make_conversation(ada)

    def peak() -> int:
        tracemalloc.start()
        archive_of(ada)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few = peak()
    texts = ["".join(random.Random(n).choices("abcdef ", k=20_000)) for n in range(10)]  # noqa: S311
    Message.objects.bulk_create(
        Message(conversation=conversation, role=Role.USER, content=texts[n % 10]) for n in range(200)
    )
    assert peak() < few + 3_000_000  # of 4 MB of text, and as much again as HTML
