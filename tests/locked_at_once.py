"""Workers and actions lock the same rows, on PostgreSQL: `python -m tests.locked_at_once`."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import django

if __name__ == "__main__":
    django.setup()

from django.db import connection, connections, transaction

from conversations import actions
from conversations.generation import commit, recovery
from conversations.generation.commit import Claim, Result
from conversations.inference import allowance
from conversations.models import Conversation, Generation, Status, StoredText, User, Worker
from tests.factories import claimed, person
from tests.site import POLL_SECONDS, WAIT

WAITING = "select count(*) from pg_locks where not granted"
RESULT = Result(Status.COMPLETE, "Hm.", "Because.")
ENDS: list[Callable[[int, Claim], object]] = [
    partial(commit.finish, result=RESULT, fields={}),
    partial(commit.fail, result=RESULT),
    partial(recovery.release, cause="The server restarted"),
]


def check_deletion(user: User, end: Callable[[int, Claim], object]) -> None:
    """Check that a conversation can be deleted by somebody who has locked it when its answer ends."""
    worker, claim = claimed(user, Worker.objects.create())

    def run() -> object:
        try:
            return end(worker.pk, claim)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            conversation = Conversation.objects.select_for_update(no_key=True).get(pk=claim.conversation_id)
            ending = threads.submit(run)
            await_waiting()
            actions.delete(conversation=conversation)
        ending.result()
    assert not Conversation.objects.filter(pk=claim.conversation_id).exists()


def check_allowance(user: User) -> None:
    """Check that an answer's limit can be determined while an action stops it and then writes text."""
    _, claim = claimed(user)
    generation = Generation.objects.get(pk=claim.generation_id)
    reserved = generation.reserved_tokens

    def run() -> object:
        try:
            return allowance.output_limit(generation, prompt_tokens=2_000)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            Generation.objects.filter(pk=generation.pk).update(stop_requested=True)
            limiting = threads.submit(run)
            await_waiting()
            assert list(StoredText.objects.select_for_update().filter(user=user))
        limiting.result()
    assert Generation.objects.get(pk=generation.pk).reserved_tokens > reserved


def await_waiting() -> None:
    deadline = time.monotonic() + WAIT
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        while cursor.fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)
            cursor.execute(WAITING)


if __name__ == "__main__":
    for number, end in enumerate(ENDS):
        check_deletion(person(f"person{number}"), end)
    check_allowance(person())
