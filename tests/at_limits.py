"""Users at their limits on any database: `python -m tests.at_limits` uses an empty migrated one."""

import io
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from django.db import connection, connections
from django.db.models import QuerySet

from conversations import actions, limits
from conversations.generation import commit, recovery
from conversations.importing import import_file
from conversations.models import Conversation, Generation, Message, Status, StoredText, User, Worker
from tests.factories import claimed, person, queued

AT_ONCE = 20
TEXTS = ("a", "é" * 3, "字" * 2, "😀", "", "many words " * 20)


def sent_at_once(send: Callable[[int], object]) -> int:
    """Call `send` with 0 to 19 in as many threads; return how many calls were not refused."""

    def call(number: int) -> bool:
        try:
            send(number)
        except actions.Refused:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return sum(threads.map(call, range(AT_ONCE)))


def check_races() -> None:
    """Send twenty questions at once, in one conversation and in several, and regenerate twenty answers at once."""
    ada, bob = person("ada"), person("bob")
    assert sent_at_once(lambda number: queued(ada, f"Question {number}")) == limits.QUEUED_PROMPTS
    assert Generation.objects.filter(owner=ada).count() == limits.QUEUED_PROMPTS == ada.conversations.count()
    answers = []
    for _ in range(AT_ONCE):
        worker, claim = claimed(bob)
        commit.finish(worker.pk, claim, commit.Result(Status.COMPLETE, "Hm.", "Yes."), {})
        answers.append(Message.objects.get(pk=claim.message_id))
    assert sent_at_once(lambda number: actions.regenerate(user=bob, message=answers[number])) == limits.QUEUED_PROMPTS
    assert Generation.objects.filter(owner=bob, status=Status.QUEUED).count() == limits.QUEUED_PROMPTS
    eve, content = person("eve"), "x" * 1_000
    StoredText.objects.create(user=eve, bytes=limits.STORED_BYTES - 5 * len(content))
    assert sent_at_once(lambda _: queued(eve, content)) == 5
    assert StoredText.objects.get(user=eve).bytes == limits.STORED_BYTES


def check_stored_text() -> None:
    """Check after each of many random writes that the counted size is that of the stored messages."""
    chance = random.Random(1)  # noqa: S311
    people, worker = [person("carol"), person("dan")], Worker.objects.create()
    used = set()
    for _ in range(100):
        owner = chance.choice(people)
        write = chance.choice((ask, finish_one, edit_one, requeue_one, cancel_one, regenerate_one, delete_one, forget))
        if write(owner, worker, chance):
            used.add(write)
        for each in people:
            assert StoredText.objects.filter(user=each).values_list("bytes", flat=True).first() in (size(each), None)
    assert len(used) == 8, used
    for owner in people:
        Conversation.objects.filter(owner=owner).delete()
        assert StoredText.objects.get(user=owner).bytes == 0
        queued(owner, "Again?")
        pk = owner.pk
        owner.delete()
        assert not StoredText.objects.filter(user=pk).exists()


def pick(rows: QuerySet, chance: random.Random) -> Any:
    found = list(rows.order_by("created_at", "pk"))
    return chance.choice(found) if found else None


def check_imported_text() -> None:
    """Check that what a file says of generations counts until it is deleted, as migration 0039 counts it too."""
    owner, message = person("fay"), {"id": 1, "parent": None, "role": "user", "content": "Why?"}
    generation = {"created_at": "2026-01-01T00:00:00Z", "error": "é" * 1_000}
    answer = {"id": 2, "parent": 1, "role": "assistant", "content": "", "generations": [generation] * 50}
    record = {"format": "ponder-conversation", "version": 1, "id": "1", "messages": [message, answer]}
    assert import_file(user=owner, file=io.BytesIO(json.dumps(record).encode())).conversations == 1
    counted = StoredText.objects.get(user=owner).bytes
    assert counted > 50 * 1_000
    StoredText.objects.filter(user=owner).update(bytes=len("Why?"))
    migration = import_module("conversations.migrations.0039_imported_text")
    with connection.cursor() as cursor:
        cursor.execute(getattr(migration, connection.vendor.upper())[-1])
    assert StoredText.objects.get(user=owner).bytes == counted
    owner.conversations.all().delete()
    assert StoredText.objects.get(user=owner).bytes == 0


def size(owner: User) -> int:
    texts = Message.objects.visible_to(owner).values_list("content", "reasoning")
    return sum(len(text.encode()) for row in texts for text in row)


def ask(owner: User, worker: Worker, chance: random.Random) -> bool:
    conversation = pick(owner.conversations, chance) if chance.random() < 0.5 else None
    queued(owner, f"Why {chance.choice(TEXTS)}?", conversation)
    return True


def finish_one(owner: User, worker: Worker, chance: random.Random) -> bool:
    claims = [commit.claim(worker.pk, pk) for (pk,) in owner.generations.filter(status="queued").values_list("pk")]
    return [
        commit.finish(worker.pk, claim, commit.Result(Status.STOPPED, chance.choice(TEXTS), chance.choice(TEXTS)), {})
        for claim in claims
        if claim
    ] != []


def edit_one(owner: User, worker: Worker, chance: random.Random) -> bool:
    prompt = pick(Message.objects.visible_to(owner).filter(role="user"), chance)
    return bool(prompt and actions.edit(user=owner, prompt=prompt, content=f"Or {chance.choice(TEXTS)}?"))


def requeue_one(owner: User, worker: Worker, chance: random.Random) -> bool:
    """Continue an answer, end it as an orphan with its text, and resume it, which moves the text to chunks."""
    answer = pick(Message.objects.visible_to(owner).filter(role="assistant").exclude(content=""), chance)
    if answer is None:
        return False
    generation = actions.continue_answer(user=owner, message=answer)
    claim = commit.claim(worker.pk, generation.pk)
    if claim is None:
        return False
    Generation.objects.filter(pk=generation.pk).update(worker=None)
    commit.Chunk.objects.create(generation=generation, attempt=1, sequence=0, kind="answer", text="more")
    recovery.recover_orphans([])
    earlier = answer.reasoning, answer.content
    recovery.resume(worker.pk, claim, "answering", generation.created_at, earlier, ("", "more"))
    return commit.finish(worker.pk, claim, commit.Result(Status.COMPLETE, "", "more and more"), {})


def cancel_one(owner: User, worker: Worker, chance: random.Random) -> bool:
    generation = pick(owner.generations.filter(status="queued"), chance)
    return bool(generation and actions.cancel(generation=generation) is not None)


def regenerate_one(owner: User, worker: Worker, chance: random.Random) -> bool:
    answer = pick(Message.objects.visible_to(owner).filter(role="assistant").exclude(content=""), chance)
    return bool(answer and actions.regenerate(user=owner, message=answer))


def delete_one(owner: User, worker: Worker, chance: random.Random) -> bool:
    conversation = pick(owner.conversations, chance)
    if conversation is None or chance.random() < 0.5:
        return False
    actions.delete_at_once(conversation=conversation)
    return True


def forget(owner: User, worker: Worker, chance: random.Random) -> bool:
    """Delete all reasoning, as `manage.py prune` does."""
    return bool(Message.objects.visible_to(owner).exclude(reasoning="").update(reasoning="", reasoning_words=0))


if __name__ == "__main__":
    check_races()
    check_stored_text()
    check_imported_text()
