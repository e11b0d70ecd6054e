"""Sign-in with Entra ID: who gets in, as whom, with which roles, and what a person reads when nobody is signed in."""

import json
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt
import pytest
from aiohttp import web
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from conversations.entra import roles
from conversations.entra.adapter import SocialAccountAdapter
from conversations.entra.provider import ID, EntraProvider
from conversations.models import User
from tests.cloud import Cloud
from tests.site import PASSWORD, ROOT, WAIT, Person, Site, from_elsewhere
from tests.tenant import ADA, CLIENT, SECRET, TENANT, Tenant, new_key, sent_to

BUTTON = "Sign in with Microsoft"


class Visitor:
    """A browser on its way to Microsoft and back."""

    def __init__(self, site: Site) -> None:
        self.http = httpx2.Client(base_url=site.url, headers=from_elsewhere(), timeout=WAIT)
        self._site = site

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post(self, path: str, **fields: str) -> httpx2.Response:
        self.http.get("/accounts/login/")
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"], "Origin": self._site.url}
        return self.http.post(path, data=fields, headers=headers)

    def leave(self, query: str = "", **fields: str) -> str:
        """Press the button; return the address at which Microsoft is asked."""
        page = self.post(f"/accounts/entra/login/{query}", **fields)
        assert page.status_code == 200, page.text
        return unescape(re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)[1])

    def come_back(self, address: str) -> httpx2.Response:
        """Ask Microsoft, and follow where it sends back to."""
        return self.http.get(httpx2.get(address, timeout=WAIT).headers["Location"])

    def sign_in(self, **fields: str) -> httpx2.Response:
        return self.come_back(self.leave(**fields))

    @property
    def is_signed_in(self) -> bool:
        return self.http.get("/").status_code == 200

    def account(self) -> tuple[Any, ...]:
        """Return (id, user name, first name, last name, staff, e-mail) of the newest account that is the tenant's."""
        return self._site.rows(
            "select u.id, u.username, u.first_name, u.last_name, u.is_staff, u.email from conversations_user u"
            " join socialaccount_socialaccount s on s.user_id = u.id order by u.id desc"
        )[0]


@pytest.fixture(scope="module")
def joined(database_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Tenant]]:
    """A site where others sign up with a mailbox, and its tenant."""
    tenant = Tenant()
    database = tmp_path_factory.mktemp("entra") / "db.sqlite3"
    database.write_bytes(database_template.read_bytes())
    site = Site(f"sqlite:///{database}", SIGNUP="domain:example.org", LOG_FORMAT="json", **tenant.variables)
    yield site, tenant
    site.kill()
    tenant.close()


@pytest.fixture
def tenant(joined: tuple[Site, Tenant]) -> Tenant:
    """The tenant, in which somebody whom the site does not know signs in."""
    joined[1].reset()
    joined[1].person["oid"] = str(uuid.uuid4())
    return joined[1]


@pytest.fixture
def entra(joined: tuple[Site, Tenant], tenant: Tenant) -> Site:
    return joined[0]


@pytest.fixture
def visitor(entra: Site) -> Iterator[Visitor]:
    with Visitor(entra) as visitor:
        yield visitor


def write(site: Site, statement: str, *arguments: Any) -> None:
    """Change the database behind the site's back."""
    with closing(sqlite3.connect(site.database_url.removeprefix("sqlite:///"), timeout=20)) as database, database:
        database.execute(statement, arguments)


@pytest.fixture
def local(entra: Site, join: Callable[..., Person]) -> Person:
    """Somebody with an account of the site's own, and an address that is known to be theirs."""
    person = join(entra)
    write(entra, "update account_emailaddress set verified = 1 where email = ?", f"{person.name}@example.org")
    return person


def test_the_button_is_there_where_a_tenant_is_configured(visitor: Visitor):
    for path in ("/accounts/login/", "/accounts/signup/"):
        assert BUTTON in visitor.http.get(path).text


@pytest.mark.django_db
def test_without_a_tenant_there_is_nothing_of_it(client: Client):
    page = client.get("/accounts/login/").content.decode()
    assert "Sign in" in page
    assert BUTTON not in page
    for path in ("/accounts/entra/login/", "/accounts/entra/login/callback/"):
        assert client.get(path).status_code == 404


def test_somebody_of_the_tenant_gets_an_account_without_password_or_address(
    visitor: Visitor, tenant: Tenant, entra: Site
):
    tenant.person["preferred_username"] = "grace@example.org"
    tenant.person["name"] = "Grace Brewster Hopper"
    assert not visitor.is_signed_in
    signed_in = visitor.sign_in()
    assert (signed_in.status_code, signed_in.headers["Location"]) == (302, "/")
    assert visitor.is_signed_in
    key, *account = visitor.account()
    assert account == ["grace@example.org", "Grace", "Brewster Hopper", 0, ""]
    assert entra.rows("select count(*) from account_emailaddress where user_id = ?", key) == [(0,)]
    assert entra.rows("select provider, uid from socialaccount_socialaccount where user_id = ?", key) == [
        ("entra", f"{TENANT}/{tenant.person['oid']}")
    ]
    assert entra.rows("select count(*) from socialaccount_socialtoken") == [(0,)]


def test_the_site_asks_for_a_name_alone_and_proves_who_redeems_the_code(visitor: Visitor, tenant: Tenant):
    visitor.sign_in()
    [asked], [redeemed] = tenant.asked, tenant.redeemed
    assert set(asked["scope"].split()) == {"openid", "profile"}
    assert redeemed["client_secret"] == SECRET
    assert "client_assertion" not in redeemed


def test_an_address_chooses_neither_scope_nor_purpose(visitor: Visitor, tenant: Tenant):
    query = "?scope=Mail.Read&auth_params=prompt%3Dnone&process=connect&action=reauthenticate"
    signed_in = visitor.come_back(visitor.leave(query))
    assert signed_in.headers["Location"] == "/"
    [asked] = tenant.asked
    assert "Mail.Read" not in asked["scope"]
    assert "prompt" not in asked


def test_somebody_known_is_the_same_person_under_another_name(visitor: Visitor, tenant: Tenant):
    visitor.sign_in()
    key = visitor.account()[0]
    visitor.post("/accounts/logout/")
    assert not visitor.is_signed_in
    tenant.person |= {
        "name": "Ada King",
        "preferred_username": "countess@example.org",
        "sub": "of another registration",
    }
    visitor.sign_in()
    assert visitor.account()[0] == key
    assert visitor.account()[2:4] == ("Ada", "King")


def test_no_account_is_joined_by_an_address(visitor: Visitor, tenant: Tenant, entra: Site, local: Person):
    address = f"{local.name}@example.org"
    [(key,)] = entra.rows("select id from conversations_user where username = ?", local.name)
    claims = ("email", "preferred_username", "upn", "unique_name", "verified_primary_email")
    tenant.person |= dict.fromkeys(claims, address) | {"email_verified": True, "xms_edov": True}
    visitor.sign_in()
    assert visitor.is_signed_in
    assert visitor.account()[0] != key
    assert entra.rows("select user_id from account_emailaddress where email = ?", address) == [(key,)]
    with Visitor(entra) as owner:
        owner.post("/accounts/login/", login=address, password=PASSWORD)
        assert owner.is_signed_in


def test_a_user_name_that_is_taken_goes_to_nobody_else(visitor: Visitor, tenant: Tenant, local: Person):
    for name in (local.name.upper(), "", "guest#EXT#@example.org", "admin", "x" * 999):
        tenant.person |= {"oid": str(uuid.uuid4()), "name": "Ada\0 " + "x" * 999, "preferred_username": name}
        visitor.sign_in()
        assert visitor.is_signed_in
        assert re.fullmatch(r"ada.*|x{150}", visitor.account()[1])


def test_roles_are_given_and_taken_at_each_sign_in_and_written_down(visitor: Visitor, tenant: Tenant, entra: Site):
    def reviews(key: int) -> bool:
        return bool(entra.rows("select 1 from conversations_user_groups where user_id = ?", key))

    for given, is_staff, is_reviewer in (
        ([], False, False),
        (["Staff"], True, False),
        (["Reviewer", "Something else"], True, True),
        (["Reviewer"], True, True),
        (["staff", "Administrator"], False, False),
    ):
        tenant.person["roles"] = given
        visitor.sign_in()
        key, *_, staff, _email = visitor.account()
        assert (bool(staff), reviews(key)) == (is_staff, is_reviewer), given
        assert visitor.http.get("/admin/").status_code == (200 if is_staff else 302)
    rows = entra.rows("select actor_name, details from conversations_auditentry where act = 'granted' order by number")
    told = [(name, details) for name, details in rows if f'"user {key}"' in details]
    assert [name for name, _ in told] == ["Entra ID", "Entra ID"]
    assert ['"change": "given"' in told[0][1], '"change": "taken"' in told[1][1]] == [True, True]


def test_a_tenant_makes_no_superuser(visitor: Visitor, tenant: Tenant, entra: Site):
    tenant.person |= {"roles": ["Staff", "Superuser", "Reviewer"], "is_superuser": True}
    visitor.sign_in()
    assert entra.rows("select is_superuser from conversations_user where id = ?", visitor.account()[0]) == [(0,)]


def test_a_sign_in_lasts_a_working_day(visitor: Visitor):
    visitor.sign_in()
    [cookie] = [cookie for cookie in visitor.http.cookies.jar if cookie.name == "sessionid"]
    assert 11 * 3600 < cookie.expires - time.time() <= 12 * 3600


def test_a_person_comes_back_to_the_page_they_wanted_and_to_no_other_site(visitor: Visitor, tenant: Tenant):
    tenant.person["roles"] = ["Staff"]
    page = visitor.http.get("/admin/", follow_redirects=True)
    assert 'name="next" value="/admin/"' in page.text
    assert visitor.sign_in(next="/admin/").headers["Location"] == "/admin/"
    visitor.post("/accounts/logout/")
    assert visitor.sign_in(next="https://elsewhere.example/").headers["Location"] == "/"


def test_a_link_begins_nothing(visitor: Visitor, tenant: Tenant):
    assert visitor.http.get("/accounts/entra/login/?next=/admin/").headers["Location"] == "/accounts/login/"
    assert visitor.http.post("/accounts/entra/login/").status_code == 403
    assert tenant.asked == []


def unsigned(tenant: Tenant, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none", headers={"kid": "one"})


def signed_with_what_all_know(tenant: Tenant, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, str(tenant.key.public_key().public_numbers().n), "HS256", headers={"kid": "one"})


def signed_by_somebody_else(tenant: Tenant, claims: dict[str, Any]) -> str:
    return tenant.sign(claims, new_key())


def signed_with_a_key_nobody_knows(tenant: Tenant, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, tenant.key, "RS256", headers={"kid": "two"})


def without_object_id(tenant: Tenant, claims: dict[str, Any]) -> str:
    return tenant.sign({name: value for name, value in claims.items() if name != "oid"})


def without_nonce(tenant: Tenant, claims: dict[str, Any]) -> str:
    return tenant.sign({name: value for name, value in claims.items() if name != "nonce"})


def changed(**claims: Any) -> Callable[[Tenant, dict[str, Any]], str]:
    return lambda tenant, found: tenant.sign(found | claims)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(changed(tid="9188040d-6c67-4c5b-b112-36a304b66dad"), id="of another tenant"),
        pytest.param(changed(iss="https://login.microsoftonline.com/common/v2.0"), id="by another issuer"),
        pytest.param(changed(aud=TENANT), id="for another site"),
        pytest.param(changed(nonce="0" * 64), id="for another browser"),
        pytest.param(changed(exp=int(time.time()) - 600), id="expired"),
        pytest.param(changed(nbf=int(time.time()) + 600), id="not yet good"),
        unsigned,
        signed_with_what_all_know,
        signed_by_somebody_else,
        signed_with_a_key_nobody_knows,
        without_object_id,
        without_nonce,
        pytest.param(lambda tenant, claims: "no token", id="no token"),
    ],
)
def test_a_token_that_is_not_for_this_browser_here_signs_nobody_in(
    visitor: Visitor, tenant: Tenant, entra: Site, forge: Callable[[Tenant, dict[str, Any]], str]
):
    people = entra.rows("select count(*) from conversations_user")
    tenant.forge = lambda claims: forge(tenant, claims)
    refused = visitor.sign_in()
    assert refused.status_code == 403
    assert "does not hold here" in refused.text
    assert not visitor.is_signed_in
    assert entra.rows("select count(*) from conversations_user") == people
    tenant.forge = tenant.sign
    visitor.sign_in()
    assert visitor.is_signed_in


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        ("access_denied", 403, "did not let you in"),
        ("temporarily_unavailable", 503, "cannot be reached"),
        ("invalid_request", 503, "does not accept this site"),
        ("<script>\n", 503, "does not accept this site"),
    ],
)
def test_a_refusal_of_microsofts_is_a_page(visitor: Visitor, tenant: Tenant, error: str, status: int, sentence: str):
    tenant.refusal = {"error": error, "error_description": "AADSTS65004: declined\nforged line"}
    refused = visitor.sign_in()
    assert refused.status_code == status
    assert sentence in refused.text
    assert 'href="/accounts/login/"' in refused.text
    assert not visitor.is_signed_in


def cut() -> web.Response:
    raise ConnectionResetError


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            lambda: web.json_response(
                {"error": "invalid_client", "error_description": "AADSTS7000222: old"}, status=401
            ),
            "does not accept this site",
        ),
        (lambda: web.json_response({"error": "invalid_grant"}, status=400), "is already over"),
        (lambda: web.json_response({"error": "server_error"}, status=500), "cannot be reached"),
        (lambda: web.json_response({"access_token": "canary"}), "does not accept this site"),
        (lambda: web.json_response(["canary"]), "cannot be reached"),
        (lambda: web.Response(text="<h1>canary</h1>", status=502), "cannot be reached"),
        (lambda: sent_to("https://elsewhere.example/"), "cannot be reached"),
        (cut, "cannot be reached"),
    ],
)
def test_whatever_goes_wrong_at_microsoft_is_a_page(
    visitor: Visitor, tenant: Tenant, answer: Callable[[], web.Response], sentence: str
):
    tenant.answer = answer
    assert sentence in visitor.sign_in().text
    tenant.answer = None
    if sentence == "cannot be reached":
        tenant.keys = answer
        assert sentence in visitor.sign_in().text
    assert not visitor.is_signed_in


def test_a_way_back_is_good_once_and_in_the_browser_that_left(visitor: Visitor, entra: Site, tenant: Tenant):
    stale = "begun more than ten minutes ago, in another browser, or is already over"
    back = httpx2.get(visitor.leave(), timeout=WAIT).headers["Location"]
    with Visitor(entra) as thief:
        stolen = thief.http.get(back)
    assert (stolen.status_code, stale in stolen.text) == (400, True)
    assert tenant.redeemed == []
    assert visitor.http.get(back).status_code == 302
    again = visitor.http.get(back)
    assert (again.status_code, stale in again.text) == (400, True)
    for path in ("", "?state=unknown&code=1", "?error=access_denied&state=unknown"):
        lost = visitor.http.get(f"/accounts/entra/login/callback/{path}")
        assert (lost.status_code, stale in lost.text) == (400, True), path


def test_a_deactivated_account_stays_out(visitor: Visitor, entra: Site):
    visitor.sign_in()
    key = visitor.account()[0]
    write(entra, "update conversations_user set is_active = 0 where id = ?", key)
    answer = visitor.sign_in()
    assert "This account is closed" in visitor.http.get(answer.headers["Location"]).text
    assert not visitor.is_signed_in


def test_a_password_opens_no_account_of_the_tenants(visitor: Visitor, entra: Site, local: Person):
    visitor.sign_in()
    key, name, *_ = visitor.account()
    assert "/accounts/password/change/" not in visitor.http.get("/preferences/").text
    passwords = dict.fromkeys(("password1", "password2"), "one more staple 3")
    assert "has no password here" in visitor.post("/accounts/password/set/", **passwords).text
    write(
        entra,
        "update conversations_user set password = (select password from conversations_user where username = ?)"
        " where id = ?",
        local.name,
        key,
    )
    with Visitor(entra) as somebody:
        assert somebody.post("/accounts/login/", login=local.name, password=PASSWORD).headers["Location"] == "/"
    with Visitor(entra) as somebody:
        refused = somebody.post("/accounts/login/", login=name, password=PASSWORD)
        assert "This account signs in with Microsoft." in somebody.http.get(refused.headers["Location"]).text
        assert not somebody.is_signed_in


def test_no_page_ties_another_account_to_ones_own(visitor: Visitor):
    visitor.sign_in()
    for path in ("accounts/3rdparty/", "accounts/3rdparty/signup/", "accounts/social/connections/"):
        assert visitor.http.get(f"/{path}").status_code == 404


def test_the_log_names_what_happened_and_holds_nothing_secret(visitor: Visitor, entra: Site, tenant: Tenant):
    printed = len(entra.lines)
    tenant.answer = lambda: web.json_response(
        {"error": "invalid_client", "error_description": f"AADSTS7000222: {SECRET} has expired"}, status=401
    )
    visitor.sign_in()
    line = entra.await_line("Misconfigured (invalid_client AADSTS7000222)", printed)
    assert '"level": "error"' in line or "ERROR" in line
    tenant.answer = None
    visitor.sign_in()
    log = "".join(entra.lines)
    assert "Traceback" not in log
    for secret in (SECRET, *tenant.handed_out, *(form["code_verifier"] for form in tenant.redeemed)):
        assert secret not in log


def test_on_azure_the_managed_identity_stands_for_a_secret_and_the_tenant_for_sign_up(
    make_site: Callable[..., Site], cloud: Cloud
):
    with closing(Tenant(cloud)) as tenant:
        site = make_site(SIGNUP="closed", **tenant.variables)
        with Visitor(site) as visitor:
            assert "Sign-up is closed" in visitor.http.get("/accounts/signup/").text
            cloud.status = 400
            refused = visitor.sign_in()
            assert (refused.status_code, "cannot be reached" in refused.text) == (503, True)
            cloud.status = 200
            deadline = time.monotonic() + WAIT
            while visitor.sign_in().status_code == 503:  # for a second the identity remembers that it was refused
                assert time.monotonic() < deadline
            assert visitor.is_signed_in
        [form] = tenant.redeemed
        assert "client_secret" not in form
        assert [form["client_assertion"]] == cloud.tokens("api://AzureADTokenExchange")
        for secret in (form["client_assertion"], *tenant.handed_out):
            assert secret not in "".join(site.lines)


@pytest.mark.django_db
def test_the_same_person_twice_at_once_gets_one_account_and_no_invitation(client: Client, rf: RequestFactory, settings):
    settings.ENTRA_TENANT_ID, settings.ENTRA_CLIENT_ID = TENANT, CLIENT
    claims = {"tid": TENANT, "oid": ADA, "name": "Ada", "preferred_username": "ada", "roles": ["Reviewer"]}
    request = rf.get("/")
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


def test_the_documented_registration_is_what_the_site_takes():
    [manifest] = re.findall(r"```json\n(.*?)```", (ROOT / "docs/entra.md").read_text(), re.DOTALL)
    registration = json.loads(manifest)
    assert [role["value"] for role in registration["appRoles"]] == [roles.STAFF, roles.REVIEWER]
    [address] = registration["web"]["redirectUris"]
    assert urlsplit(address).path == reverse("entra_callback")
