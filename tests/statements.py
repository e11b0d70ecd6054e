"""Every prepared statement of the project, compared with the queryset it is written as: `python -m tests.statements`.

As a program it uses an empty migrated database, which it leaves empty, and prints the names of what it compared.
"""

import importlib
import inspect
import json
import pkgutil
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from django.db import models, transaction
from django.utils import timezone

import conversations
from conversations.generation import commit
from conversations.models import Feedback, Generation, Instructions, Message, Rating, Status, User, Worker, prepared
from tests.factories import person, queued

Statement = Callable[..., Any]


def statements() -> dict[str, Statement]:
    """Return all prepared statements by module and name, without the package's own."""
    names = (module.name for module in pkgutil.walk_packages(conversations.__path__, "conversations."))
    modules = [importlib.import_module(name) for name in names if ".management" not in name]
    return {
        f"{module.__name__.removeprefix('conversations.')}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and hasattr(value, "__wrapped__")
        and value.__module__ == module.__name__
        and value.__code__.co_filename == prepared.__file__
    }


def examples() -> dict[str, list[tuple[Any, ...]]]:
    """Return arguments for each statement, for which it finds something."""
    ada, worker, now = person("ada"), Worker.objects.create(), timezone.now()
    instructions = Instructions.objects.create(owner=ada, content="Be brief.")
    first = queued(ada)
    conversation = first.conversation_id
    claim = commit.claim(worker.pk, first.pk)
    commit.finish(worker.pk, claim, commit.Result(Status.COMPLETE, "because", "Yes."), {"request": {"model": "m"}})
    Feedback.objects.create(message=first.message, conversation=first.conversation, rating=Rating.GOOD)
    running = queued(ada, "And?", first.conversation)
    claim = commit.claim(worker.pk, running.pk)
    waiting = queued(ada, "Else?", first.conversation)
    claimable, deactivated = queued(person("bob")), person("eve")
    queued(deactivated)
    User.objects.filter(pk=deactivated.pk).update(is_active=False)
    orphan = commit.claim(worker.pk, queued(person("carol")).pk)
    Generation.objects.filter(pk=orphan.generation_id).update(worker=None)
    messages = list(Message.objects.filter(conversation=conversation).order_by("pk").values_list("pk", flat=True))
    text = {"content": "No.", "reasoning": "", "reasoning_words": 0}
    end = {"status": Status.COMPLETE, "slot": None, "error": "", "prompt_tokens": 7, "finished_at": now}
    return {
        "actions.rows._locked": [(conversation,)],
        "limits._size": [(ada.pk,)],
        "limits._locked_size": [(ada.pk,)],
        "limits._queued": [(ada.pk,)],
        "generation.commit._queued": [(waiting.pk,)],
        "generation.commit._claim": [(claimable.pk, 0, worker.pk, 1, 0, now)],
        "generation.commit._slots": [(ada.pk,)],
        "generation.commit._message": [(first.message_id,)],
        "generation.commit.update_generation": [
            (first.pk, {"request": {"messages": [1, "two"]}, "finish_reason": "stop"}),
            (first.pk, {"request": None}),
        ],
        "generation.commit._finish_owned": [(worker.pk, running.pk, claim.attempt, end)],
        "generation.commit.update_message": [(first.message_id, text)],
        "generation.commit._update_conversation": [(conversation, {"updated_at": now})],
        "generation.recovery._claimed_ids": [(worker.pk,)],
        "generation.recovery._orphan_ids": [()],
        "generation.recovery._queued_of_deactivated": [()],
        "generation.history._generation": [(first.pk,)],
        "generation.history._instructions": [([instructions.pk],)],
        "generation.history._without_reasoning": [(messages,)],
        "generation.history._without_text": [(messages,)],
        "actions.queueing._user_instructions": [(ada.pk,)],
        "models.conversation.visible_conversation": [(ada.pk, conversation)],
        "models.conversation._parents": [(conversation,)],
        "models.conversation._generations": [(conversation, messages)],
        "models.conversation.generation_statuses": [(conversation, messages), (conversation, messages[:2])],
        "models.conversation._messages": [(conversation, messages)],
        "models.conversation._without_reasoning": [(conversation, messages)],
        "models.conversation._beginnings": [(conversation, messages)],
        "models.conversation._texts": [(conversation, messages)],
    }


def compare_all() -> Iterator[str]:
    """Compare each statement with its queryset, in a transaction that is rolled back; yield its name."""
    with transaction.atomic():
        found, known = statements(), examples()
        assert set(found) == set(known), "each prepared statement needs an example here"
        for name, statement in found.items():
            for arguments in known[name]:
                with transaction.atomic():  # with other values first, so that those of the example are not in the SQL
                    statement(*map(other, arguments))
                    transaction.set_rollback(True)
                if isinstance(built := statement.__wrapped__(*arguments), tuple):
                    compare_update(name, statement, arguments, *built)
                else:
                    compare_select(name, statement, arguments, built)
            yield name
        transaction.set_rollback(True)


def compare_select(name: str, statement: Statement, arguments: tuple[Any, ...], plain: models.QuerySet[Any]) -> None:
    rows, expected = list(map(contents, statement(*arguments))), list(map(contents, plain))
    assert rows, f"{name} finds nothing: its example proves nothing"
    assert rows == expected, name


def compare_update(
    name: str, statement: Statement, arguments: tuple[Any, ...], plain: models.QuerySet[Any], columns: dict[str, Any]
) -> None:
    def after(update: Callable[[], int]) -> tuple[int, list[Any]]:
        with transaction.atomic():
            number = update()
            rows = list(map(contents, plain.model.objects.order_by("pk")))
            transaction.set_rollback(True)
        return number, rows

    before = list(map(contents, plain.model.objects.order_by("pk")))
    number, rows = after(lambda: statement(*arguments))
    assert number == 1, f"{name} changes nothing: its example proves nothing"
    assert rows != before, name
    assert (number, rows) == after(lambda: plain.update(**columns)), name


def contents(row: Any) -> Any:
    """Return all that a row holds, with types; of a model also what it caches and defers."""
    if isinstance(row, models.Model):
        fields = {name: value for name, value in vars(row).items() if name != "_state"}
        return type(row), {name: (type(value), value) for name, value in fields.items()}
    return [(type(value), value) for value in row]


def other(argument: Any) -> Any:
    """Return an argument of the same shape with other values."""
    match argument:
        case list():
            return [0] * len(argument)
        case dict():
            return dict.fromkeys(argument)
        case uuid.UUID():
            return uuid.uuid4()
        case datetime():
            return argument - timedelta(days=1)
        case _:
            return 0


if __name__ == "__main__":
    print(json.dumps(list(compare_all())))
