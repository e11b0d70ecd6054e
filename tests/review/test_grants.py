"""Nobody reviews by being a superuser; who is let to is written down, by whom and how ever it came about."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, Permission
from django.test import Client

from conversations.models import User
from conversations.models.permissions import LIST, READ, REVIEW, full
from conversations.review.models import AuditAction, AuditEntry
from tests.factories import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def superuser() -> User:
    return User.objects.create_superuser("root", "root@example.org", "pw")


def again(user: User) -> User:
    return User.objects.get(pk=user.pk)


def grants() -> list[tuple[str, dict[str, object]]]:
    return list(
        AuditEntry.objects.filter(act=AuditAction.GRANTED).order_by("number").values_list("actor_name", "details")
    )


def test_the_reviewers_group_has_the_four_permissions():
    assert set(Group.objects.get(name="Reviewer").permissions.values_list("codename", flat=True)) == set(REVIEW)


@pytest.mark.parametrize("codename", REVIEW)
def test_a_superuser_has_what_was_granted_alone(superuser: User, codename: str):
    assert superuser.has_perm("conversations.view_user")  # as ever
    assert not superuser.has_perm(full(codename))
    assert not superuser.has_perms([full(codename)])
    assert not async_to_sync(superuser.ahas_perm)(full(codename))
    assert full(codename) not in superuser.get_all_permissions()
    superuser.user_permissions.add(Permission.objects.get(codename=codename))
    granted = again(superuser)
    assert granted.has_perm(full(codename))
    assert full(codename) in granted.get_all_permissions()
    granted.is_active = False
    assert not granted.has_perm(full(codename))


def test_a_group_grants_and_takes():
    user = person()
    user.groups.add(Group.objects.get(name="Reviewer"))
    assert again(user).has_perm(full(READ))
    user.groups.clear()
    assert not again(user).has_perm(full(READ))


def test_granting_is_written_down_wherever_it_happens():
    user, reviewers = person(), Group.objects.get(name="Reviewer")
    reading = Permission.objects.get(codename=READ)
    other = Permission.objects.get(codename="view_user")
    helpers = Group.objects.create(name="Helpers")
    user.groups.add(helpers)  # gives nothing of review
    user.user_permissions.add(other)
    assert grants() == []
    user.user_permissions.add(reading, other)
    reading.user_set.remove(user)
    reviewers.user_set.add(user)
    helpers.permissions.add(reading)
    user.review_groups.add(helpers)
    user.groups.clear()
    to = [f"user {user.pk}"]
    assert grants() == [
        ("", {"to": to, "change": "given", "things": [READ]}),
        ("", {"to": to, "change": "taken", "things": [READ]}),
        ("", {"to": to, "change": "given", "things": [f"group {reviewers.pk}"]}),
        ("", {"to": [f"group {helpers.pk}"], "change": "given", "things": [READ]}),
        ("", {"to": to, "change": "given", "things": [f"group {helpers.pk}"]}),
        ("", {"to": to, "change": "all taken", "things": []}),
    ]


def test_granting_in_the_administration_is_written_down_with_who_did_it(client: Client, superuser: User):
    client.force_login(superuser)
    reviewers = Group.objects.get(name="Reviewer")
    fields = {
        "username": "root",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        "theme": "",
        "reasoning": "thinking",
        "groups": [reviewers.pk],
        "user_permissions": [Permission.objects.get(codename=LIST).pk],
        "review_limited": "on",
    }
    saved = client.post(f"/admin/conversations/user/{superuser.pk}/change/", fields)
    assert saved.status_code == 302, saved.context["errors"]
    to = [f"user {superuser.pk}"]
    assert sorted(grants(), key=str) == sorted(
        [
            ("root", {"to": to, "change": "limited", "things": []}),
            ("root", {"to": to, "change": "given", "things": [f"group {reviewers.pk}"]}),
            ("root", {"to": to, "change": "given", "things": [LIST]}),
        ],
        key=str,
    )
    assert AuditEntry.objects.filter(address="127.0.0.1").count() == 3
    reading = Permission.objects.get(codename=READ)
    group = {"name": "Helpers", "permissions": [reading.pk]}
    assert client.post("/admin/auth/group/add/", group).status_code == 302
    helpers = Group.objects.get(name="Helpers")
    assert grants()[-1] == ("root", {"to": [f"group {helpers.pk}"], "change": "given", "things": [READ]})


def test_nobody_writes_in_the_trail_by_way_of_the_administration(client: Client, superuser: User):
    superuser.user_permissions.add(Permission.objects.get(codename=READ))
    client.force_login(superuser)
    assert client.get("/admin/conversations/auditentry/").status_code == 200
    assert client.get("/admin/conversations/auditentry/1/change/").status_code == 200
    assert client.post("/admin/conversations/auditentry/1/change/", {"note": "x"}).status_code == 403
    assert client.post("/admin/conversations/auditentry/1/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/conversations/auditentry/add/").status_code == 403
