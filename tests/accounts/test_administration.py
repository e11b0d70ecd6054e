"""What staff without superuser status can change about accounts, and when a superuser can delete one."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone

from conversations.models import Conversation, LegalHold, Status, User
from conversations.models.generation import Generation
from conversations.review.models import AuditEntry
from tests.factories import person, queued

pytestmark = pytest.mark.django_db
USERS, GROUPS, ADDRESSES = "/admin/conversations/user/", "/admin/auth/group/", "/admin/account/emailaddress/"


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", "root@example.org", "pw")


@pytest.fixture
def staff() -> User:
    """Someone with every permission that Django checks, but no superuser."""
    user = person("staff")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__model__in=("user", "group", "emailaddress")))
    return user


def fields(user: User, **more: object) -> dict[str, object]:
    return {
        "username": user.username,
        "first_name": "Changed",
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        "theme": "",
        "reasoning": "thinking",
    } | more


def privileges() -> dict[str, object]:
    return {
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [Group.objects.get_or_create(name="Helpers")[0].pk],
        "user_permissions": [Permission.objects.get(codename="read_conversations").pk],
        "review_limited": "on",
        "review_groups": [Group.objects.get_or_create(name="Helpers")[0].pk],
    }


def held(user: User) -> tuple[object, ...]:
    user = User.objects.get(pk=user.pk)
    relations = (user.groups, user.user_permissions, user.review_groups)
    return user.is_staff, user.is_superuser, user.review_limited, *(relation.count() for relation in relations)


def test_only_superusers_grant_permissions_groups_and_status(client: Client, root: User, staff: User):
    ada = person("ada")
    client.force_login(staff)
    assert client.post(f"{USERS}{ada.pk}/change/", fields(ada) | privileges()).status_code == 302
    assert held(ada) == (False, False, False, 0, 0, 0)
    assert User.objects.get(pk=ada.pk).first_name == "Changed"
    client.force_login(root)
    assert client.post(f"{USERS}{ada.pk}/change/", fields(ada) | privileges()).status_code == 302
    assert held(ada) == (True, True, True, 1, 1, 1)


def test_staff_change_neither_themselves_nor_other_staff(client: Client, root: User, staff: User):
    before = held(staff)
    client.force_login(staff)
    for user in (staff, root):
        password = {"password1": "another staple 2", "password2": "another staple 2", "usable_password": "true"}
        assert client.post(f"{USERS}{user.pk}/change/", fields(user) | privileges()).status_code == 403
        assert client.post(f"{USERS}{user.pk}/password/", password).status_code == 403
        assert client.post(f"{USERS}{user.pk}/delete/", {"post": "yes"}).status_code == 403
        assert client.get(f"{USERS}{user.pk}/change/").status_code == 200  # to read
    assert held(staff) == before
    assert User.objects.get(pk=root.pk).check_password("pw")


def test_only_superusers_change_groups_and_email_addresses(client: Client, root: User, staff: User):
    address = EmailAddress.objects.create(user=root, email="root@example.org")
    helpers = Group.objects.create(name="Helpers")
    changes = [
        (f"{GROUPS}add/", {"name": "New"}),
        (f"{GROUPS}{helpers.pk}/change/", {"name": "Renamed"}),
        (f"{ADDRESSES}add/", {"user": staff.pk, "email": "new@example.org"}),
        (f"{ADDRESSES}{address.pk}/change/", {"user": root.pk, "email": "staff@example.org"}),
    ]
    client.force_login(staff)
    verify = {"action": "make_verified", "_selected_action": address.pk}
    client.post(ADDRESSES, verify)
    assert not EmailAddress.objects.get(pk=address.pk).verified
    for url, change in changes:
        assert client.post(url, change).status_code == 403
    client.force_login(root)
    client.post(ADDRESSES, verify)
    assert EmailAddress.objects.get(pk=address.pk).verified
    for url, change in changes:
        assert client.post(url, change).status_code == 302


def test_a_superuser_is_told_why_an_account_cannot_be_deleted_and_deletes_it_when_it_can(client: Client, root: User):
    ada = person("ada")
    generation = queued(ada)
    client.force_login(root)

    def delete() -> str:
        assert client.get(f"{USERS}{ada.pk}/delete/", follow=True).status_code == 200
        return client.post(f"{USERS}{ada.pk}/delete/", {"post": "yes"}, follow=True).text

    assert "Deactivate this account first" in delete()
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert "An answer is still being written" in delete()
    Generation.objects.update(status=Status.COMPLETE)
    holds = [
        LegalHold.objects.create(reason="Order 7", user=ada),
        LegalHold.objects.create(reason="Order 7", conversation=generation.conversation),
    ]
    for hold in holds:
        assert "must be kept for legal reasons" in delete()
        LegalHold.objects.filter(pk=hold.pk).update(lifted_at=timezone.now() - timedelta(days=1))
    assert Conversation.objects.exists()
    assert "conversations: 1" in client.get(f"{USERS}{ada.pk}/delete/").text.lower()
    assert "was deleted successfully" in delete()
    assert not User.objects.filter(pk=ada.pk).exists()
    assert not Conversation.objects.exists()
    entries = AuditEntry.objects.filter(act="deleted").order_by("number")
    assert list(entries.values_list("actor_name", "owner_id", "conversation_id", "details")) == [
        ("root", ada.pk, generation.conversation_id, {}),
        ("root", None, None, {"user": ada.pk}),
    ]
