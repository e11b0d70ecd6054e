"""What a deleted account has used: it stays in the ledger, counts for the same person's day, and becomes anonymous."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from conversations.accounts.deletion import delete_own_account
from conversations.models import DailyUsage, User
from conversations.models.usage import balance, forget_deleted_accounts, take_over
from conversations.review import audit
from conversations.review.retention import delete_account
from tests.factories import claimed, person
from tests.test_usage import end, stored

pytestmark = pytest.mark.django_db


def test_an_account_that_is_deleted_leaves_its_tokens_without_a_user():
    ada, bob = person("ada"), person("bob")
    end(ada)
    end(ada, model="another")
    end(bob)
    DailyUsage.objects.filter(model="another").update(day=timezone.localdate() - timedelta(days=1))
    delete_account_of(ada)
    rows = DailyUsage.objects.order_by("day", "model").values_list("user", "model", "input_tokens")
    assert list(rows) == [(None, "another", 10), (None, "test-model", 10), (bob.pk, "test-model", 10)]
    assert "ada" not in str(DailyUsage.objects.filter(user=None).values())


def test_the_running_answer_of_an_account_that_its_owner_deletes_is_counted():
    ada = person("ada")
    claimed(ada)
    delete_own_account(user=ada, address="192.0.2.1")
    [(user, account, tokens)] = DailyUsage.objects.values_list("user", "deleted_account", "input_tokens")
    assert (user, len(account), tokens) == (None, 64, 9)


def test_a_new_account_of_the_same_person_does_not_get_the_days_tokens_again(client: Client):
    end(ada := person("ada"))
    for name in ("ada2", "ada3"):  # with the address of ada
        delete_account_of(ada)
        password = {"password1": "long and unheard of", "password2": "long and unheard of"}
        client.post("/accounts/signup/", {"username": name, "email": "ADA@example.org", **password})
        ada = User.objects.get(username=name)
        assert balance(ada).used == 60
        client.logout()
    assert balance(person("bob")).used == 0


def test_tokens_of_a_deleted_account_are_anonymous_when_the_day_has_ended():
    ada = person("ada")
    end(ada)
    delete_account_of(ada)
    forget_deleted_accounts()
    assert DailyUsage.objects.exclude(deleted_account="").exists()  # the day has not ended
    DailyUsage.objects.update(day=timezone.localdate() - timedelta(days=1))
    forget_deleted_accounts()
    assert not DailyUsage.objects.exclude(deleted_account="").exists()
    again = person("ada")
    take_over(again)
    assert (stored(again), DailyUsage.objects.all().tokens()) == ([], 60)


def delete_account_of(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    user.refresh_from_db()
    administrator, _ = User.objects.get_or_create(username="administrator", is_superuser=True)
    assert delete_account(actor=audit.Actor(administrator), user=user)
