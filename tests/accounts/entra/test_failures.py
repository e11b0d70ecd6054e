"""Every failed sign-in has a page that says why, and a log line without secrets."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import httpx2
import jwt
import pytest
from aiohttp import web

from tests.accounts.entra.tenant import SECRET, TENANT, Tenant, new_key, redirect
from tests.accounts.entra.visitor import Visitor, write
from tests.site import WAIT, Site


def test_a_get_request_starts_no_sign_in(visitor: Visitor, tenant: Tenant):
    assert visitor.http.get("/accounts/entra/login/?next=/admin/").headers["Location"] == "/accounts/login/"
    assert visitor.http.post("/accounts/entra/login/").status_code == 403
    assert tenant.authorize_requests == []


def unsigned(tenant: Tenant, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none", headers={"kid": tenant.kid})


def signed_with_the_public_key(tenant: Tenant, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, str(tenant.key.public_key().public_numbers().n), "HS256", headers={"kid": tenant.kid})


def signed_with_another_key(tenant: Tenant, claims: dict[str, Any]) -> str:
    return tenant.sign(claims, new_key())


def signed_with_an_unknown_key_id(tenant: Tenant, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, tenant.key, "RS256", headers={"kid": "unknown"})


def without_object_id(tenant: Tenant, claims: dict[str, Any]) -> str:
    return tenant.sign({name: value for name, value in claims.items() if name != "oid"})


def without_nonce(tenant: Tenant, claims: dict[str, Any]) -> str:
    return tenant.sign({name: value for name, value in claims.items() if name != "nonce"})


def with_claims(**claims: Any) -> Callable[[Tenant, dict[str, Any]], str]:
    return lambda tenant, found: tenant.sign(found | claims)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(with_claims(tid="9188040d-6c67-4c5b-b112-36a304b66dad"), id="another tenant"),
        pytest.param(with_claims(iss="https://login.microsoftonline.com/common/v2.0"), id="another issuer"),
        pytest.param(with_claims(aud=TENANT), id="another audience"),
        pytest.param(with_claims(nonce="0" * 64), id="another nonce"),
        pytest.param(with_claims(exp=int(time.time()) - 600), id="expired"),
        pytest.param(with_claims(nbf=int(time.time()) + 86_400), id="not yet valid"),
        unsigned,
        signed_with_the_public_key,
        signed_with_another_key,
        signed_with_an_unknown_key_id,
        without_object_id,
        *(pytest.param(with_claims(oid=oid), id=f"object id {oid!r}") for oid in ("", " ", 7, ["a"])),
        without_nonce,
        pytest.param(lambda tenant, claims: "no token", id="not a token"),
    ],
)
def test_an_invalid_token_is_rejected(
    visitor: Visitor, tenant: Tenant, entra: Site, forge: Callable[[Tenant, dict[str, Any]], str]
):
    users = entra.rows("select count(*) from conversations_user")
    tenant.forge = lambda claims: forge(tenant, claims)
    refused = visitor.sign_in()
    assert refused.status_code == 403
    assert "could not be verified" in refused.text
    assert not visitor.is_signed_in
    assert entra.rows("select count(*) from conversations_user") == users
    tenant.forge = tenant.sign
    visitor.sign_in()
    assert visitor.is_signed_in


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        ("access_denied", 403, "did not sign you in"),
        ("temporarily_unavailable", 503, "cannot be reached"),
        ("invalid_request", 503, "rejected this site"),
        ("<script>\n", 503, "rejected this site"),
    ],
)
def test_an_error_from_microsoft_has_a_page(visitor: Visitor, tenant: Tenant, error: str, status: int, message: str):
    tenant.error = {"error": error, "error_description": "AADSTS65004: declined\nforged line"}
    page = visitor.sign_in()
    assert page.status_code == status
    assert message in page.text
    assert 'href="/accounts/login/"' in page.text
    assert not visitor.is_signed_in


def disconnect() -> web.Response:
    raise ConnectionResetError


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda: web.json_response(
                {"error": "invalid_client", "error_description": "AADSTS7000222: old"}, status=401
            ),
            "rejected this site",
        ),
        (lambda: web.json_response({"error": "invalid_grant"}, status=400), "has already been completed"),
        (lambda: web.json_response({"error": "server_error"}, status=500), "cannot be reached"),
        (lambda: web.json_response({"access_token": "canary"}), "rejected this site"),
        (lambda: web.json_response(["canary"]), "cannot be reached"),
        (lambda: web.Response(text="<h1>canary</h1>", status=502), "cannot be reached"),
        (lambda: redirect("https://elsewhere.example/"), "cannot be reached"),
        (disconnect, "cannot be reached"),
    ],
)
def test_an_unusable_response_from_microsoft_has_a_page(
    visitor: Visitor, tenant: Tenant, answer: Callable[[], web.Response], message: str
):
    tenant.token_response = answer
    assert message in visitor.sign_in().text
    tenant.token_response = None
    if message == "cannot be reached":
        tenant.rotate_key()  # so that the site must fetch the keys
        tenant.keys_response = answer
        assert message in visitor.sign_in().text
    assert not visitor.is_signed_in


def test_a_callback_works_once_and_only_in_the_browser_that_started(visitor: Visitor, entra: Site, tenant: Tenant):
    stale = "has expired, was started in another browser, or has already been completed"
    callback = httpx2.get(visitor.start(), timeout=WAIT).headers["Location"]
    with Visitor(entra) as thief:
        stolen = thief.http.get(callback)
    assert (stolen.status_code, stale in stolen.text) == (400, True)
    assert tenant.token_requests == []
    assert visitor.http.get(callback).status_code == 302
    assert visitor.http.get(callback).headers["Location"] == "/"  # already signed in
    visitor.post("/accounts/logout/")
    for path in (callback, "", "?state=unknown&code=1", "?error=access_denied&state=unknown"):
        page = visitor.http.get(urljoin("/accounts/entra/login/callback/", path))
        assert (page.status_code, stale in page.text) == (400, True), path


def test_a_deactivated_account_cannot_sign_in_and_gets_no_roles(visitor: Visitor, tenant: Tenant, entra: Site):
    visitor.sign_in()
    key = visitor.account.id
    write(entra, "update conversations_user set is_active = 0 where id = ?", key)
    tenant.person["roles"] = ["Reviewer"]
    response = visitor.sign_in()
    assert "Account deactivated" in visitor.http.get(response.headers["Location"]).text
    assert not visitor.is_signed_in
    assert entra.rows("select is_staff from conversations_user where id = ?", key) == [(0,)]
    assert entra.rows("select 1 from conversations_user_groups where user_id = ?", key) == []


def test_the_log_has_the_reason_and_no_secrets(visitor: Visitor, entra: Site, tenant: Tenant):
    printed = len(entra.lines)
    tenant.token_response = lambda: web.json_response(
        {"error": "invalid_client", "error_description": f"AADSTS7000222: {SECRET} has expired"}, status=401
    )
    visitor.sign_in()
    line = entra.await_line("Misconfigured (invalid_client AADSTS7000222)", printed)
    assert json.loads(line)["level"] == "error"
    tenant.token_response = None
    visitor.sign_in()
    log = "".join(entra.lines)
    assert "Traceback" not in log
    for secret in (SECRET, *tenant.issued, *(form["code_verifier"] for form in tenant.token_requests)):
        assert secret not in log
