"""Twenty threads that ask a question of one person at once: `python -m tests.rivals`. Prints what was accepted as JSON.

They ask the models one after the other. The first thread has reserved its tokens, and not committed that, when the
others ask.
"""

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from conversations import actions  # noqa: E402
from conversations.inference.choice import Choice  # noqa: E402
from conversations.models import Generation, User  # noqa: E402

THREADS = 20


def ask(user: User, model: str) -> bool:
    try:
        actions.send_message(user=user, content="Why?", choice=Choice(model))
    except actions.DailyLimitReached:
        return False
    return True


def ask_and_disconnect(user: User, model: str) -> bool:
    try:
        return ask(user, model)
    finally:
        connection.close()


def is_one_waiting(others: list[Future[bool]]) -> bool:
    """Return whether one of the others waits for the first one's transaction, or did not have to."""
    if connection.vendor == "sqlite":
        return True  # whose transactions begin one after the other
    with connection.cursor() as cursor:
        cursor.execute("select 1 from pg_locks where not granted")
        return bool(cursor.fetchone()) or any(other.done() for other in others)


def ask_at_once(user: User, model: str) -> list[bool]:
    with ThreadPoolExecutor(THREADS) as threads:
        with transaction.atomic():
            accepted = [ask(user, model)]
            others = [threads.submit(ask_and_disconnect, user, model) for _ in range(THREADS - 1)]
            while not is_one_waiting(others):
                time.sleep(0.005)
        return accepted + [other.result() for other in others]


def main() -> None:
    ada, found = User.objects.create_user("ada"), {}
    for model in settings.MODELS:
        accepted = ask_at_once(ada, model)
        reserved = list(Generation.objects.filter(model=model).values_list("reserved_tokens", flat=True))
        found[model] = {"accepted": sum(accepted), "refused": accepted.count(False), "reserved": reserved}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
