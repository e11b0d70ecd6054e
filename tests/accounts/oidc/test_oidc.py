"""Sign-in with an OpenID Connect provider, at a site that has nothing else: LOCAL_ACCOUNTS=false."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from allauth.core import context
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import Client, RequestFactory

from conversations.accounts.oidc import provider as oidc
from conversations.accounts.sso.adapter import SocialAccountAdapter
from conversations.accounts.sso.failures import Misconfigured, SignInFailed, Untrusted
from conversations.models import User
from tests.accounts.entra.tenant import CLIENT
from tests.accounts.entra.visitor import Visitor, write
from tests.accounts.oidc.issuer import Issuer
from tests.site import PASSWORD, Site


@pytest.fixture(scope="module")
def issuer_server() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def site(database_template: Path, tmp_path_factory: pytest.TempPathFactory, issuer_server: Issuer) -> Iterator[Site]:
    database = tmp_path_factory.mktemp("oidc") / "db.sqlite3"
    shutil.copy(database_template, database)
    site = Site(f"sqlite:///{database}", LOCAL_ACCOUNTS="false", SIGNUP="domain:example.org", **issuer_server.variables)
    yield site
    site.kill()


@pytest.fixture
def issuer(issuer_server: Issuer) -> Issuer:
    """The provider, where a person who is new to the site signs in next."""
    issuer_server.reset()
    issuer_server.person["sub"] = uuid.uuid4().hex
    return issuer_server


@pytest.fixture
def visitor(site: Site, issuer: Issuer) -> Iterator[Visitor]:
    with Visitor(site, "oidc") as visitor:
        yield visitor


def test_a_person_signs_in_with_pkce_and_gets_the_roles_of_the_claim(visitor: Visitor, issuer: Issuer, site: Site):
    issuer.person["groups"] = ["Reviewer"]
    assert "Sign in with Example Org" in visitor.http.get("/accounts/login/").text
    assert visitor.sign_in(next="/preferences/").headers["Location"] == "/preferences/"
    assert visitor.is_signed_in
    account = visitor.account
    assert account[1:6] == ("ada", "Ada", "Lovelace", "", True)
    assert (account.provider, account.uid) == ("oidc", f"{issuer.issuer} {issuer.person['sub']}")
    [request] = issuer.authorize_requests
    assert request["code_challenge_method"] == "S256"
    assert set(request["scope"].split()) == {"openid", "profile"}
    assert site.rows("select actor_name from conversations_auditentry where act = 'granted'")[-1] == ("Example Org",)
    assert visitor.http.get("/admin/", follow_redirects=True).url.path.startswith("/admin/")
    visitor.post("/accounts/logout/")
    issuer.person["groups"] = []
    visitor.sign_in()
    assert (visitor.account.id, visitor.account.is_staff) == (account.id, False)
    site.await_line("signed in with single sign-on")
    assert not any(secret in "".join(site.lines) for secret in issuer.issued)


def test_what_the_token_leaves_out_is_fetched_for_the_same_person_only(visitor: Visitor, issuer: Issuer):
    issuer.person = {"sub": issuer.person["sub"]}
    issuer.userinfo = {"sub": "eve", "name": "Eve", "groups": ["Staff"]}
    assert "could not be verified" in visitor.sign_in().text
    issuer.userinfo |= {"sub": issuer.person["sub"], "name": "Grace Hopper", "preferred_username": "grace"}
    visitor.sign_in()
    assert visitor.account[1:6] == ("grace", "Grace", "Hopper", "", True)


@pytest.mark.parametrize(
    "claims",
    [{"iss": "https://evil.example"}, {"aud": "other"}, {"azp": "other"}, {"nonce": "0" * 64}, {"sub": ""}, {"exp": 1}],
    ids=lambda claims: next(iter(claims)),
)
def test_an_invalid_token_is_rejected(visitor: Visitor, issuer: Issuer, claims: dict[str, Any]):
    issuer.forge = lambda found: issuer.sign(found | claims)
    refused = visitor.sign_in()
    assert (refused.status_code, visitor.is_signed_in) == (403, False)
    assert "could not be verified" in refused.text


def test_there_is_no_other_way_to_sign_in(visitor: Visitor, site: Site):
    visitor.sign_in()
    account = visitor.account
    write(site, "update conversations_user set password = ? where id = ?", make_password(PASSWORD), account.id)
    insert = """
        insert into conversations_user (username, email, password, is_superuser, is_staff, is_active, date_joined,
        first_name, last_name, theme, reasoning, single_keys, review_limited)
        values ('local', 'local@example.org', ?, 1, 1, 1, '2026-01-01', '', '', '', 'thinking', 1, 0)
    """
    write(site, insert, make_password(PASSWORD))
    with Visitor(site) as stranger:
        page = stranger.http.get("/accounts/login/").text
        assert "password" not in page.lower()
        for name in ("local", "local@example.org", account.username):
            assert stranger.post("/accounts/login/", login=name, password=PASSWORD).status_code == 405
        for path in ("signup/", "password/reset/", "password/change/", "password/set/", "email/", "reauthenticate/"):
            assert stranger.http.get(f"/accounts/{path}").status_code == 404
        assert stranger.http.get("/.well-known/change-password").status_code == 404
        assert stranger.http.get("/admin/login/").headers["Location"].startswith("/accounts/login/?next=")
        assert not stranger.is_signed_in


def test_people_change_and_delete_their_accounts_without_a_password(visitor: Visitor, site: Site):
    visitor.sign_in()
    account = visitor.account
    page = visitor.http.get("/preferences/").text
    assert "Delete your account" in page
    assert "/accounts/password/" not in page
    assert "/accounts/email/" not in page
    assert visitor.post("/account/delete/", username=account.username).headers["Location"] == "/accounts/login/"
    assert site.rows("select id from conversations_user where id = ?", account.id) == []
    visitor.sign_in()
    assert visitor.account.id != account.id


@pytest.fixture
def configured(settings, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """The provider, as the settings of this process name it."""
    for name, value in issuer.variables.items():
        setattr(settings, name, value)
    monkeypatch.setattr(oidc, "_discovered", None)
    return issuer


@pytest.mark.parametrize(
    ("document", "failure"),
    [
        ({"issuer": "https://other.example"}, Misconfigured),
        ({"token_endpoint": "http://other.example/token"}, Misconfigured),
        ({"jwks_uri": None}, Misconfigured),
        ({"authorization_endpoint": "javascript:alert(1)"}, Misconfigured),
    ],
)
def test_a_discovery_document_with_anything_but_https_is_rejected(
    configured: Issuer, document: dict[str, Any], failure: type[SignInFailed]
):
    configured.document = document
    with pytest.raises(failure):
        oidc.discover()
    configured.document = {}
    assert oidc.discover()["issuer"] == configured.issuer


@pytest.mark.django_db
def test_a_provider_that_does_not_respond_has_a_page(client: Client, configured: Issuer, settings):
    settings.OIDC_ISSUER = "http://127.0.0.1:9/realm"
    for response in (client.post("/accounts/oidc/login/"), client.get("/accounts/oidc/login/callback/?state=x&code=y")):
        assert (response.status_code, "Example Org" in response.text) in ((503, True), (400, False))
    assert client.post("/accounts/oidc/login/").status_code == 503


def test_the_client_authenticates_as_the_provider_supports_it(
    configured: Issuer, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
):
    adapter = oidc.OIDCOAuth2Adapter(rf.get("/"), oidc.ID)
    assert adapter.basic_auth
    for methods, is_basic in ((["client_secret_basic", "client_secret_post"], False), (["client_secret_basic"], True)):
        configured.document = {"token_endpoint_auth_methods_supported": methods}
        monkeypatch.setattr(oidc, "_discovered", None)
        assert adapter.basic_auth == is_basic


@pytest.mark.django_db
def test_without_a_claim_for_roles_this_site_decides_about_them(configured: Issuer, settings, rf: RequestFactory):
    settings.OIDC_ROLES_CLAIM = ""
    request: HttpRequest = rf.get("/")
    request.user, request.session = AnonymousUser(), Client().session
    claims = {"iss": configured.issuer, "sub": "ada", "name": "Ada", "preferred_username": "ada", "groups": ["Staff"]}
    adapter = SocialAccountAdapter(request)
    with context.request_context(request):
        provider = adapter.get_provider(request, oidc.ID)
        stored = provider.get_oauth2_adapter(request).to_store(claims, "")
        adapter.save_user(request, provider.sociallogin_from_response(request, stored))
        with pytest.raises(Untrusted):
            provider.extract_uid(stored | {"sub": "x" * 255})
    assert not User.objects.get(username="ada").is_staff
    assert stored["roles"] is None
    assert provider.app.client_id == CLIENT
