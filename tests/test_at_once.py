"""What several threads do at the same moment, each with a connection of its own.

In a file by itself: these tests commit, and the database is emptied after them, of what migrations had put there too.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connection, connections

from conversations import actions
from conversations.generation.commit import Claim, End, claim, finish
from conversations.models import Generation, Status, User, Worker
from conversations.review import audit, queue
from conversations.review.models import QueueItem
from tests.factories import person, queued
from tests.review.factories import make_conversation

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_claimers_at_once_never_run_more_than_the_slots_allow(settings):
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


def test_a_prompt_is_taken_back_or_claimed_and_never_both():
    user = person()
    worker = Worker.objects.create()

    def race(take: Callable[[], object]) -> object:
        try:
            return take()
        finally:
            connections.close_all()

    for number in range(10):
        generation = queued(user, f"Question {number}")
        takers = [partial(claim, worker.pk, generation.pk), partial(actions.cancel, generation=generation)]
        with ThreadPoolExecutor(2) as threads:
            made, content = threads.map(race, takers)
        assert (made is None) != (content is None)
        if made:
            assert finish(worker.pk, made, End(Status.COMPLETE, "", "answer"), {})


def test_of_many_who_take_an_item_at_once_one_has_it():
    report = make_conversation(person("owner"))
    actions.give_feedback(message=report.leaf, rating="report", comment="", shared=True)
    queue.refresh()
    item = QueueItem.objects.get()
    reviewers = [person(f"reviewer{n}") for n in range(8)]
    together, taken = threading.Barrier(len(reviewers)), []

    def take(reviewer: User) -> None:
        together.wait(30)
        if queue.claim(actor=audit.Actor(reviewer), item=item):
            taken.append(reviewer)
        connection.close()

    threads = [threading.Thread(target=take, args=[reviewer]) for reviewer in reviewers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [QueueItem.objects.get().taken_by] == taken
