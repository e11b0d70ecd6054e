"""Superusers have no review permissions by default, and every change of review permissions is recorded."""

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


def reload(user: User) -> User:
    """Return the user with fresh permission caches."""
    return User.objects.get(pk=user.pk)


def changes() -> list[tuple[str, dict[str, object]]]:
    entries = AuditEntry.objects.filter(act=AuditAction.PERMISSIONS_CHANGED).order_by("number")
    return list(entries.values_list("actor_name", "details"))


def test_the_reviewer_group_has_all_four_permissions():
    assert set(Group.objects.get(name="Reviewer").permissions.values_list("codename", flat=True)) == set(REVIEW)


@pytest.mark.parametrize("codename", REVIEW)
def test_a_superuser_has_only_the_review_permissions_that_were_granted(superuser: User, codename: str):
    assert superuser.has_perm("conversations.view_user")
    assert not superuser.has_perm(full(codename))
    assert not superuser.has_perms([full(codename)])
    assert not async_to_sync(superuser.ahas_perm)(full(codename))
    assert full(codename) not in superuser.get_all_permissions()
    superuser.user_permissions.add(Permission.objects.get(codename=codename))
    granted = reload(superuser)
    assert granted.has_perm(full(codename))
    assert full(codename) in granted.get_all_permissions()
    granted.is_active = False
    assert not granted.has_perm(full(codename))


def test_permissions_come_and_go_with_a_group():
    user = person()
    user.groups.add(Group.objects.get(name="Reviewer"))
    assert reload(user).has_perm(full(READ))
    user.groups.clear()
    assert not reload(user).has_perm(full(READ))


def test_changes_are_recorded_from_either_side_of_each_relation():
    user, reviewers = person(), Group.objects.get(name="Reviewer")
    read = Permission.objects.get(codename=READ)
    other = Permission.objects.get(codename="view_user")
    helpers = Group.objects.create(name="Helpers")
    user.groups.add(helpers)  # without review permissions
    user.user_permissions.add(other)
    assert changes() == []
    user.user_permissions.add(read, other)
    read.user_set.remove(user)
    reviewers.user_set.add(user)
    helpers.permissions.add(read)
    user.review_groups.add(helpers)
    user.groups.clear()
    to = [f"user {user.pk}"]
    assert changes() == [
        ("", {"to": to, "change": "given", "things": [READ]}),
        ("", {"to": to, "change": "taken", "things": [READ]}),
        ("", {"to": to, "change": "given", "things": [f"group {reviewers.pk}"]}),
        ("", {"to": [f"group {helpers.pk}"], "change": "given", "things": [READ]}),
        ("", {"to": to, "change": "given", "things": [f"group {helpers.pk}"]}),
        ("", {"to": to, "change": "all taken", "things": []}),
    ]


def test_changes_in_the_administration_are_recorded_with_who_made_them(client: Client, superuser: User):
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
    assert sorted(changes(), key=str) == sorted(
        [
            ("root", {"to": to, "change": "limited", "things": []}),
            ("root", {"to": to, "change": "given", "things": [f"group {reviewers.pk}"]}),
            ("root", {"to": to, "change": "given", "things": [LIST]}),
        ],
        key=str,
    )
    assert AuditEntry.objects.filter(address="127.0.0.1").count() == 3
    group = {"name": "Helpers", "permissions": [Permission.objects.get(codename=READ).pk]}
    assert client.post("/admin/auth/group/add/", group).status_code == 302
    helpers = Group.objects.get(name="Helpers")
    assert changes()[-1] == ("root", {"to": [f"group {helpers.pk}"], "change": "given", "things": [READ]})


def test_the_administration_shows_the_audit_trail_read_only(client: Client, superuser: User):
    superuser.user_permissions.add(Permission.objects.get(codename=READ))
    client.force_login(superuser)
    assert client.get("/admin/conversations/auditentry/").status_code == 200
    assert client.get("/admin/conversations/auditentry/1/change/").status_code == 200
    assert client.post("/admin/conversations/auditentry/1/change/", {"note": "x"}).status_code == 403
    assert client.post("/admin/conversations/auditentry/1/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/conversations/auditentry/add/").status_code == 403
