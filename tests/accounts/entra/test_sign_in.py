"""Who can sign in with Entra ID, to which account, and with which roles."""

import json
import re
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from django.urls import reverse

from conversations.accounts.entra.provider import ID, EntraProvider
from conversations.accounts.sso import roles
from conversations.accounts.sso.adapter import SocialAccountAdapter
from conversations.models import User
from tests.accounts.entra.tenant import ADA, CLIENT, SECRET, TENANT, Tenant
from tests.accounts.entra.visitor import Visitor, write
from tests.cloud import Cloud
from tests.site import PASSWORD, ROOT, WAIT, Person, Site

BUTTON = "Sign in with Microsoft"


def test_the_button_is_shown_if_a_tenant_is_configured(visitor: Visitor):
    for path in ("/accounts/login/", "/accounts/signup/"):
        assert BUTTON in visitor.http.get(path).text


@pytest.mark.django_db
def test_without_a_tenant_there_is_no_button_and_no_url(client: Client):
    page = client.get("/accounts/login/").content.decode()
    assert "Sign in" in page
    assert BUTTON not in page
    for path in ("/accounts/entra/login/", "/accounts/entra/login/callback/"):
        assert client.get(path).status_code == 404


def test_a_new_person_gets_an_account_without_password_and_email_address(visitor: Visitor, tenant: Tenant, entra: Site):
    tenant.person["preferred_username"] = "grace@example.org"
    tenant.person["name"] = "Grace Brewster Hopper"
    assert not visitor.is_signed_in
    response = visitor.sign_in()
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    assert visitor.is_signed_in
    account = visitor.account
    assert account[1:5] == ("grace@example.org", "Grace", "Brewster Hopper", "")
    assert not account.is_staff
    assert (account.provider, account.uid) == ("entra", f"{TENANT}/{tenant.person['oid']}")
    assert entra.rows("select count(*) from account_emailaddress where user_id = ?", account.id) == [(0,)]
    assert entra.rows("select count(*) from socialaccount_socialtoken") == [(0,)]


def test_the_site_requests_only_the_profile_and_authenticates_with_its_secret(visitor: Visitor, tenant: Tenant):
    visitor.sign_in()
    [authorize_request], [token_request] = tenant.authorize_requests, tenant.token_requests
    assert set(authorize_request["scope"].split()) == {"openid", "profile"}
    assert token_request["client_secret"] == SECRET
    assert "client_assertion" not in token_request


def test_the_query_string_cannot_change_scope_or_process(visitor: Visitor, tenant: Tenant):
    query = "?scope=Mail.Read&auth_params=prompt%3Dnone&process=connect&action=reauthenticate"
    response = visitor.complete(visitor.start(query))
    assert response.headers["Location"] == "/"
    [request] = tenant.authorize_requests
    assert "Mail.Read" not in request["scope"]
    assert request["prompt"] == "select_account"


def test_a_known_person_keeps_their_account_under_another_name(visitor: Visitor, tenant: Tenant):
    visitor.sign_in()
    key = visitor.account.id
    visitor.post("/accounts/logout/")
    assert not visitor.is_signed_in
    tenant.person |= {
        "name": "Ada King",
        "preferred_username": "countess@example.org",
        "sub": "of another registration",
    }
    visitor.sign_in()
    account = visitor.account
    assert (account.id, account.first_name, account.last_name) == (key, "Ada", "King")


def test_no_account_is_matched_by_email_address(visitor: Visitor, tenant: Tenant, entra: Site, local: Person):
    address = f"{local.name}@example.org"
    [(key,)] = entra.rows("select id from conversations_user where username = ?", local.name)
    claims = ("email", "preferred_username", "upn", "unique_name", "verified_primary_email")
    tenant.person |= dict.fromkeys(claims, address) | {"email_verified": True, "xms_edov": True}
    visitor.sign_in()
    assert visitor.is_signed_in
    assert visitor.account.id != key
    assert entra.rows("select user_id from account_emailaddress where email = ?", address) == [(key,)]
    with Visitor(entra) as owner:
        owner.post("/accounts/login/", login=address, password=PASSWORD)
        assert owner.is_signed_in


def test_a_username_that_is_taken_or_invalid_is_replaced(visitor: Visitor, tenant: Tenant, local: Person):
    for name in (local.name.upper(), "", "guest#EXT#@example.org", "admin", "x" * 999):
        tenant.person |= {"oid": str(uuid.uuid4()), "name": "Ada\0 " + "x" * 999, "preferred_username": name}
        visitor.sign_in()
        assert visitor.is_signed_in
        assert re.fullmatch(r"ada.*|x{150}", visitor.account.username)


def test_roles_are_applied_at_each_sign_in_and_recorded(visitor: Visitor, tenant: Tenant, entra: Site):
    def is_in_group(key: int) -> bool:
        return bool(entra.rows("select 1 from conversations_user_groups where user_id = ?", key))

    for app_roles, is_staff, is_reviewer in (
        ([], False, False),
        (["Staff"], True, False),
        (["Reviewer", "Something else"], True, True),
        (["Reviewer"], True, True),
        (["staff", "Administrator"], False, False),
    ):
        tenant.person["roles"] = app_roles
        visitor.sign_in()
        account = visitor.account
        assert (bool(account.is_staff), is_in_group(account.id)) == (is_staff, is_reviewer), app_roles
        # People who only review are led to the queue.
        assert ("login" in visitor.http.get("/admin/").headers.get("Location", "")) != is_staff
    rows = entra.rows("select actor_name, details from conversations_auditentry where act = 'granted' order by number")
    changes = [(name, details) for name, details in rows if f'"user {account.id}"' in details]
    assert [name for name, _ in changes] == ["Entra ID", "Entra ID"]
    assert ['"change": "given"' in changes[0][1], '"change": "taken"' in changes[1][1]] == [True, True]


def test_signing_keys_are_fetched_once_until_they_change(visitor: Visitor, tenant: Tenant):
    visitor.sign_in()
    requests = tenant.key_requests
    for _ in range(2):
        visitor.sign_in()
        assert visitor.is_signed_in
    assert tenant.key_requests == requests
    visitor.post("/accounts/logout/")
    tenant.rotate_key()
    visitor.sign_in()
    assert visitor.is_signed_in
    assert tenant.key_requests == requests + 1


def test_no_role_makes_a_superuser(visitor: Visitor, tenant: Tenant):
    tenant.person |= {"roles": ["Staff", "Superuser", "Reviewer"], "is_superuser": True}
    visitor.sign_in()
    assert (visitor.account.is_staff, visitor.account.is_superuser) == (1, 0)


def test_a_session_lasts_twelve_hours_from_sign_in(visitor: Visitor, entra: Site):
    visitor.sign_in()
    [cookie] = [cookie for cookie in visitor.http.cookies.jar if cookie.name == "sessionid"]
    assert 11 * 3600 < cookie.expires - time.time() <= 12 * 3600
    session = "select expire_date, session_data from django_session where session_key = ?"
    [(expires, data)] = entra.rows(session, cookie.value)
    visitor.start()
    [(expires_later, data_later)] = entra.rows(session, cookie.value)
    assert data_later != data
    assert expires_later == expires


def test_sign_in_returns_to_the_requested_page_but_not_to_another_site(visitor: Visitor, tenant: Tenant):
    tenant.person["roles"] = ["Staff"]
    page = visitor.http.get("/admin/", follow_redirects=True)
    assert 'name="next" value="/admin/"' in page.text
    assert visitor.sign_in(next="/admin/").headers["Location"] == "/admin/"
    visitor.post("/accounts/logout/")
    assert visitor.sign_in(next="https://elsewhere.example/").headers["Location"] == "/"


def test_an_account_of_the_tenant_cannot_sign_in_with_a_password(visitor: Visitor, entra: Site, local: Person):
    visitor.sign_in()
    account = visitor.account
    assert "/accounts/password/change/" not in visitor.http.get("/preferences/").text
    passwords = dict.fromkeys(("password1", "password2"), "one more staple 3")
    assert "has no password here" in visitor.post("/accounts/password/set/", **passwords).text
    write(
        entra,
        "update conversations_user set password = (select password from conversations_user where username = ?)"
        " where id = ?",
        local.name,
        account.id,
    )
    with Visitor(entra) as another:
        assert another.post("/accounts/login/", login=local.name, password=PASSWORD).headers["Location"] == "/"
    with Visitor(entra) as another:
        refused = another.post("/accounts/login/", login=account.username, password=PASSWORD)
        assert "This account has no password here." in another.http.get(refused.headers["Location"]).text
        assert not another.is_signed_in


def test_no_page_connects_another_account(visitor: Visitor):
    visitor.sign_in()
    for path in ("accounts/3rdparty/", "accounts/3rdparty/signup/", "accounts/social/connections/"):
        assert visitor.http.get(f"/{path}").status_code == 404


@pytest.mark.django_db
def test_two_sign_ins_at_once_create_one_account_and_use_no_invitation(client: Client, rf: RequestFactory, settings):
    settings.ENTRA_TENANT_ID, settings.ENTRA_CLIENT_ID = TENANT, CLIENT
    claims = {"tid": TENANT, "oid": ADA, "name": "Ada", "preferred_username": "ada", "roles": ["Reviewer"]}
    request = rf.get("/")
    request.user = AnonymousUser()
    request.session = client.session
    request.session["account_verified_email"] = "invited@example.org"
    adapter = SocialAccountAdapter(request)
    with context.request_context(request):
        first, second = (EntraProvider(request, adapter.get_app(request, ID)) for _ in range(2))
        first, second = (provider.sociallogin_from_response(request, claims) for provider in (first, second))
        adapter.save_user(request, first)
        second.user.username = "ada2"
        with pytest.raises(ImmediateHttpResponse) as refused:
            adapter.save_user(request, second)
    assert refused.value.response.status_code == 400
    assert list(User.objects.values_list("username", "is_staff")) == [("ada", True)]
    assert not EmailAddress.objects.exists()


def test_on_azure_the_managed_identity_replaces_the_secret(make_site: Callable[..., Site], cloud: Cloud):
    with closing(Tenant(cloud)) as tenant:
        site = make_site(SIGNUP="closed", **tenant.variables)
        with Visitor(site) as visitor:
            assert "Sign-up is closed" in visitor.http.get("/accounts/signup/").text
            cloud.status = 400
            refused = visitor.sign_in()
            assert (refused.status_code, "cannot be reached" in refused.text) == (503, True)
            cloud.status = 200
            deadline = time.monotonic() + WAIT
            while visitor.sign_in().status_code == 503:  # the identity does not retry for a second
                assert time.monotonic() < deadline
            assert visitor.is_signed_in
        [form] = tenant.token_requests
        assert "client_secret" not in form
        assert [form["client_assertion"]] == cloud.tokens("api://AzureADTokenExchange")
        for secret in (form["client_assertion"], *tenant.issued):
            assert secret not in "".join(site.lines)


def test_the_documented_registration_matches_the_site():
    registration = json.loads((ROOT / "infra/registration.json").read_text())
    assert [role["value"] for role in registration["appRoles"]] == [roles.STAFF, roles.REVIEWER]
    [address] = re.findall(r"--web-redirect-uris (\S+)", (ROOT / "docs/entra.md").read_text())
    assert urlsplit(address).path == reverse("entra_callback")
