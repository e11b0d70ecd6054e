"""A process with many competing threads: `python -m tests.faults.claimers <threads> <conversations to start>`.

First all threads try to claim every queued generation, each as its own worker. Then all try to end every running
generation: half of them as its worker, half as a worker that takes the first for dead. A race starts when all threads
are ready ("ready" is printed) and a line of input arrives. The successful claims and ends are printed as JSON.
"""

import json
import random
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402

from conversations import actions  # noqa: E402
from conversations.generation import commit, recovery  # noqa: E402
from conversations.models import Generation, Status, User, Worker  # noqa: E402


def begin(conversations: int) -> None:
    """Start this number of conversations of one person, with two prompts each."""
    ada, _ = User.objects.get_or_create(username="ada")
    for _ in range(conversations):
        first = actions.send_message(user=ada, content="First?")
        actions.send_message(user=ada, content="Second?", conversation=first.conversation)


def claim_all(worker: int) -> Callable[[], list[Any]]:
    """Return a function that tries to claim every queued generation and returns [generation, attempt] per claim."""

    def run() -> list[Any]:
        queued = list(Generation.objects.filter(status=Status.QUEUED).values_list("pk", flat=True))
        random.Random(worker).shuffle(queued)  # noqa: S311
        claims = [commit.claim(worker, generation) for generation in queued]
        return [(claim.generation_id, claim.attempt) for claim in claims if claim]

    return run


def end_all(number: int) -> Callable[[], list[Any]]:
    """Return a function that tries to end every running generation and returns [generation, status] per end."""

    def run() -> list[Any]:
        running = list(Generation.objects.running())
        ids = {generation.conversation_id: generation.pk for generation in running}
        random.Random(number).shuffle(running)  # noqa: S311
        won = []
        for generation in running:
            if generation.worker_id is None:
                continue  # another thread has declared its worker dead, and recovers it
            claim = commit.Claim.of(generation)
            if number % 2:
                end = commit.Result(Status.COMPLETE, "Thought.", f"Rival {number}.")
                if commit.finish(generation.worker_id, claim, end, {}):
                    won.append((generation.pk, end.status))
            else:
                # One worker may have claimed several.
                recovered = recovery.recover_orphans([generation.worker_id])
                won += [(ids[conversation], "queued") for _, conversation in recovered]
        return won

    return run


def race(threads: int, prepare: Callable[[int], Callable[[], list[Any]]], entrants: list[int]) -> None:
    standing = threading.Barrier(threads + 1)
    start = threading.Event()

    def enter(entrant: int) -> list[Any]:
        run = prepare(entrant)
        standing.wait()
        start.wait()
        try:
            return run()
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        winnings = pool.map(enter, entrants)
        standing.wait()
        print("ready", flush=True)
        sys.stdin.readline()
        start.set()
        print(json.dumps([won for each in winnings for won in each]), flush=True)


if __name__ == "__main__":
    threads, conversations = map(int, sys.argv[1:])
    begin(conversations)
    race(threads, claim_all, [Worker.objects.create().pk for _ in range(threads)])
    race(threads, end_all, list(range(threads)))
