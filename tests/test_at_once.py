"""Concurrent writes by several threads, each with its own database connection.

In a file of their own: these tests commit, and all tables are emptied after them, also of rows that migrations created.
"""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import connection, connections

from conversations import actions, file_cleanup
from conversations.actions import shares
from conversations.generation.commit import Claim, Result, claim, finish
from conversations.models import (
    Attachment,
    Conversation,
    Generation,
    Share,
    Status,
    StoredFile,
    StoredText,
    User,
    Worker,
)
from conversations.review import audit, queue
from conversations.review.models import QueueItem
from tests import at_limits
from tests.factories import person, queued
from tests.review.factories import make_conversation

pytestmark = pytest.mark.django_db(transaction=True)


def test_concurrent_claims_never_exceed_the_slots(settings):
    settings.USER_CONCURRENCY = 3
    user = person()
    generations = [queued(user).pk for _ in range(6)]
    workers = [Worker.objects.create().pk for _ in range(10)]

    def race(number: int) -> Claim | None:
        try:
            return claim(workers[number % 10], generations[number % 6])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as threads:
        claims = [made for made in threads.map(race, range(60)) if made]
    assert len({made.generation_id for made in claims}) == len(claims) == 3
    assert sorted(Generation.objects.running().values_list("slot", flat=True)) == [0, 1, 2]


def test_concurrent_questions_never_exceed_the_limits():
    at_limits.check_races()


def test_a_prompt_is_either_cancelled_or_claimed():
    user = person()
    worker = Worker.objects.create()

    def race(function: Callable[[], object]) -> object:
        try:
            return function()
        finally:
            connections.close_all()

    for number in range(10):
        generation = queued(user, f"Question {number}")
        competitors = [partial(claim, worker.pk, generation.pk), partial(actions.cancel, generation=generation)]
        with ThreadPoolExecutor(2) as threads:
            made, content = threads.map(race, competitors)
        assert (made is None) != (content is None)
        if made:
            assert finish(worker.pk, made, Result(Status.COMPLETE, "", "answer"), {})


def test_concurrent_claims_of_a_queue_item_assign_it_once():
    report = make_conversation(person("owner"))
    actions.give_feedback(message=report.leaf, rating="report", comment="", shared=True)
    queue.refresh()
    item = QueueItem.objects.get()
    reviewers = [person(f"reviewer{n}") for n in range(8)]
    barrier, claimed = threading.Barrier(len(reviewers)), []

    def claim_item(reviewer: User) -> None:
        barrier.wait(30)
        if queue.claim(actor=audit.Actor(reviewer), item=item):
            claimed.append(reviewer)
        connection.close()

    threads = [threading.Thread(target=claim_item, args=[reviewer]) for reviewer in reviewers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [QueueItem.objects.get().taken_by] == claimed


def upload(user: User, content: bytes = b"The secret is 42.") -> Attachment:
    with closing(TemporaryUploadedFile("notes.txt", "text/plain", len(content), None)) as file:
        file.write(content)
        file.seek(0)
        try:
            return actions.attach(user=user, upload=file)
        finally:
            connections.close_all()


@pytest.fixture
def folder(settings, tmp_path):
    """The storage, as a folder."""
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    return tmp_path / "files/files"


def test_the_same_file_uploaded_at_once_is_stored_once(folder):
    user = person()
    with ThreadPoolExecutor(3) as threads:
        made = list(threads.map(upload, [user] * 3))
    assert len({attachment.stored_id for attachment in made}) == 1
    file_cleanup.clean_up()
    assert [path.name for path in folder.iterdir()] == [str(StoredFile.objects.get().key)]
    stored = StoredFile.objects.get()
    assert StoredText.objects.get(user=user).bytes == stored.bytes


def test_a_file_that_is_attached_while_it_is_cleaned_up_is_kept_or_stored_again(folder):
    user = person()
    stop = threading.Event()

    def clean() -> None:
        while not stop.is_set():
            file_cleanup.clean_up()
        connections.close_all()

    with ThreadPoolExecutor(1) as cleaner:
        cleaning = cleaner.submit(clean)
        for _ in range(3):
            attachment = upload(user)
            assert (folder / str(attachment.stored.key)).read_bytes() == b"The secret is 42."
            actions.remove_attachment(attachment=attachment)
        last = upload(user)
        stop.set()
        cleaning.result()
    file_cleanup.clean_up()
    assert [path.name for path in folder.iterdir()] == [str(last.stored.key)]


def test_concurrent_links_never_exceed_the_limit(monkeypatch):
    monkeypatch.setattr(shares, "ACTIVE_SHARES", 3)
    conversation = make_conversation(person())

    def race(_: int) -> bool:
        try:
            create_share(conversation)
        except actions.Refused:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(race, range(8))) == 3
    assert Share.objects.count() == 3


def test_a_file_that_is_copied_while_it_is_deleted_is_kept_or_not_copied(folder):
    owner, reader = person(), person("reader")

    def race(function: Callable[[], object]) -> object:
        try:
            return function()
        finally:
            connections.close_all()

    def delete(conversation: Conversation) -> None:
        actions.delete_at_once(conversation=conversation)
        file_cleanup.clean_up()

    def copy(share: Share) -> None:
        with contextlib.suppress(Share.DoesNotExist):
            actions.copy_share(user=reader, share=share)

    for number in range(10):
        conversation = make_conversation(owner, file=f"Text {number}")
        share = create_share(conversation)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(race, [partial(delete, conversation), partial(copy, share)]))
        file_cleanup.clean_up()
        stored = StoredFile.objects.all()
        assert {str(each.written_key) for each in stored} == {path.name for path in folder.iterdir()}
        assert all(each.owner == reader for each in stored)
    for copied in Conversation.objects.all():
        delete(copied)
    assert list(folder.iterdir()) == []


def create_share(conversation: Conversation) -> Share:
    return actions.create_share(
        conversation=conversation, audience="members", days=1, with_reasoning=True, with_files=True
    )
