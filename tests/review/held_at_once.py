"""Legal holds are placed while accounts are deleted, on PostgreSQL: `python -m tests.review.held_at_once`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import django

if __name__ == "__main__":
    django.setup()

from django.db import connections, transaction
from django.test import Client

from conversations.models import Conversation, LegalHold, User
from conversations.review import retention
from conversations.review.audit import System
from tests.factories import person
from tests.locked_at_once import await_waiting


def deactivated(name: str) -> User:
    user = person(name)
    User.objects.filter(pk=user.pk).update(is_active=False)
    return User.objects.get(pk=user.pk)


def place(client: Client, user: User) -> int:
    fields = {"user": user.pk, "conversation": "", "reason": "Order 7"}
    return client.post("/admin/conversations/legalhold/add/", fields).status_code


def delete(user: User) -> bool:
    return retention.delete_account(actor=System(), user=user)


def run(second: Callable[[], object]) -> object:
    try:
        return second()
    finally:
        connections.close_all()


def check_hold_first(administrator: Client, user: User) -> None:
    """Check that a deletion that has waited for a hold to be placed sees it."""
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            assert place(administrator, user) == 302
            deleting = threads.submit(run, partial(delete, user))
            await_waiting()
        assert deleting.result() is False
    assert User.objects.filter(pk=user.pk).exists()
    assert LegalHold.objects.get(user=user).lifted_at is None


def check_deletion_first(administrator: Client, user: User) -> None:
    """Check that a hold that waits has locked nothing that a deletion needs, and is refused when the user is gone."""
    Conversation.objects.create(owner=user, title="A conversation")
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            assert User.objects.select_for_update().filter(pk=user.pk).exists()  # as the deletion begins
            placing = threads.submit(run, partial(place, administrator, user))
            await_waiting()
            assert delete(user)
        assert placing.result() == 403
    assert not User.objects.filter(pk=user.pk).exists()
    assert not LegalHold.objects.filter(user=user.pk).exists()


if __name__ == "__main__":
    administrator = Client(SERVER_NAME="127.0.0.1")
    administrator.force_login(User.objects.create_superuser("root"))
    check_hold_first(administrator, deactivated("held"))
    check_deletion_first(administrator, deactivated("deleted"))
