"""Until when a token works."""

from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.accounts import api_tokens
from conversations.models import ApiToken, User
from tests.accounts.signing_in import PASSWORD, confirm, sign_in
from tests.api.conftest import Api
from tests.factories import api_token, person


def works(api: Api) -> bool:
    response = api.get("")
    assert response.status_code in (200, 401)
    return response.status_code == 200


def test_a_token_works_until_it_expires(ada: User):
    token, secret = api_token(ada, expires_at=timezone.now() + timedelta(minutes=1))
    assert works(Api(secret))
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert not works(Api(secret))


def test_deactivation_ends_tokens_for_good_whatever_deactivates(api: Api, ada: User):
    User.objects.filter(pk=ada.pk).update(first_name="Ada", is_active=True)
    assert works(api)
    with connection.cursor() as cursor:
        cursor.execute("update conversations_user set is_active = false where id = %s", [ada.pk])
    assert not works(api)
    User.objects.filter(pk=ada.pk).update(is_active=True)
    assert not works(api)
    assert ApiToken.objects.get().revoked_at <= timezone.now()
    assert works(Api(api_token(ada)[1]))


def test_the_rows_of_a_deleted_account_are_deleted_by_the_database(api: Api, ada: User):
    with connection.cursor() as cursor:
        cursor.execute("delete from account_emailaddress")
        cursor.execute("delete from conversations_user where id = %s", [ada.pk])
    assert not ApiToken.objects.exists()


def test_a_new_password_ends_tokens(api: Api, ada: User, client: Client):
    other = Api(api_token(person("bob"))[1])
    sign_in(client)
    passwords = dict.fromkeys(("password1", "password2"), "another staple 2")
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD} | passwords)
    assert not works(api)
    assert works(other)


def test_a_password_that_an_administrator_sets_ends_tokens(api: Api, ada: User, client: Client):
    User.objects.create_superuser("root", "root@example.org", PASSWORD)
    sign_in(client, "root")
    assert works(api)
    passwords = dict.fromkeys(("password1", "password2"), "another staple 2")
    set_for = client.post(f"/admin/conversations/user/{ada.pk}/password/", passwords | {"usable_password": "true"})
    assert set_for.status_code == 302
    assert not works(api)


def test_the_same_password_hashed_again_does_not(api: Api, ada: User, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", *settings.PASSWORD_HASHERS]
    before = ada.password
    assert ada.check_password(PASSWORD)
    ada.refresh_from_db()
    assert ada.password != before
    assert works(api)


def test_resetting_factors_ends_tokens(api: Api, ada: User):
    Authenticator.objects.create(user=ada, type=Authenticator.Type.TOTP, data={"secret": "x"})
    assert works(api)
    call_command("reset_factors", "ada")
    assert not works(api)


def test_signing_out_everywhere_else_ends_tokens(api: Api, client: Client):
    sign_in(client)
    confirm(client)
    sign_in(Client())
    client.post("/accounts/sessions/", {"session": "x"})
    client.get("/accounts/logout/")
    assert works(api)
    client.post("/accounts/sessions/", {"session": "others"})
    assert not works(api)


def test_tokens_of_single_sign_on_pause_a_week_after_the_last_sign_in(api: Api, ada: User):
    people = User.objects.filter(pk=ada.pk)
    people.update(last_login=timezone.now() - timedelta(days=30))
    assert works(api)  # somebody with a password
    for provider in ("entra", "oidc"):
        SocialAccount.objects.create(user=ada, provider=provider, uid="1")
    assert not works(api)
    people.update(last_login=None)
    assert not works(api)
    people.update(last_login=timezone.now() - timedelta(days=6, hours=23))
    assert works(api)
    people.update(last_login=timezone.now() - timedelta(days=7))
    assert not works(api)


def test_without_local_accounts_all_tokens_pause(api: Api, ada: User, settings):
    User.objects.filter(pk=ada.pk).update(last_login=timezone.now() - timedelta(days=8))
    assert works(api)
    settings.LOCAL_ACCOUNTS = False
    assert not works(api)


def test_the_last_use_is_written_once_in_ten_minutes(api: Api):
    def writes() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert works(api)
        return sum(query["sql"].startswith(("UPDATE", "INSERT")) for query in queries)

    assert [writes(), writes()] == [1, 0]
    ApiToken.objects.update(used_at=timezone.now() - api_tokens.USED_INTERVAL)
    assert [writes(), writes()] == [1, 0]


@pytest.mark.django_db(transaction=True)
def test_the_api_works_while_the_last_use_cannot_be_written(api: Api, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "conversations")
    with connection.cursor() as cursor:
        cursor.execute("pragma query_only = true")
        try:
            assert works(api)
        finally:
            cursor.execute("pragma query_only = false")
    assert "the use of an API token was not noted" in caplog.text
