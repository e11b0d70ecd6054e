"""Workers of a version from before attachments leave conversations with files to those that read files.

`test_side_by_side` has such a version, on PostgreSQL.
"""

import pytest

from conversations.generation.commit import claim
from conversations.models import Generation, Status, Worker
from tests.factories import attached, person, queued

pytestmark = pytest.mark.django_db


def earlier_worker() -> int:
    return Worker.objects.create().pk  # such a version does not know the column


def test_a_worker_that_reads_no_files_claims_nothing_where_there_are_any():
    generation, plain = queued(person()), queued(person("ben"))
    attached(generation.message.prompt, "The secret is 42.")
    worker = earlier_worker()
    assert claim(worker, generation.pk) is None
    generation.refresh_from_db()
    assert (generation.status, generation.attempt, generation.worker) == (Status.QUEUED, 0, None)
    assert claim(worker, plain.pk)
    assert claim(Worker.objects.create(reads_files=True).pk, generation.pk)


def test_files_of_earlier_questions_count_too():
    first = queued(person())
    attached(first.message.prompt, "The secret is 42.")
    Generation.objects.filter(pk=first.pk).update(status=Status.COMPLETE)
    follow_up = queued(first.owner, "And?", first.conversation)
    assert claim(earlier_worker(), follow_up.pk) is None
    assert claim(Worker.objects.create(reads_files=True).pk, follow_up.pk)
