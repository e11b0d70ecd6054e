"""When nobody is signed in: a page says why, whatever happened, and the log has what it needs and no more."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import httpx2
import jwt
import pytest
from aiohttp import web

from tests.entra.visitor import Visitor, write
from tests.site import WAIT, Site
from tests.tenant import SECRET, TENANT, Tenant, new_key, sent_to


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
        pytest.param(changed(nbf=int(time.time()) + 86_400), id="not yet good"),
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
    assert "could not be verified" in refused.text
    assert not visitor.is_signed_in
    assert entra.rows("select count(*) from conversations_user") == people
    tenant.forge = tenant.sign
    visitor.sign_in()
    assert visitor.is_signed_in


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        ("access_denied", 403, "did not sign you in"),
        ("temporarily_unavailable", 503, "cannot be reached"),
        ("invalid_request", 503, "rejected this site"),
        ("<script>\n", 503, "rejected this site"),
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
            "rejected this site",
        ),
        (lambda: web.json_response({"error": "invalid_grant"}, status=400), "has already been completed"),
        (lambda: web.json_response({"error": "server_error"}, status=500), "cannot be reached"),
        (lambda: web.json_response({"access_token": "canary"}), "rejected this site"),
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
    stale = "has expired, was started in another browser, or has already been completed"
    back = httpx2.get(visitor.leave(), timeout=WAIT).headers["Location"]
    with Visitor(entra) as thief:
        stolen = thief.http.get(back)
    assert (stolen.status_code, stale in stolen.text) == (400, True)
    assert tenant.redeemed == []
    assert visitor.http.get(back).status_code == 302
    assert visitor.http.get(back).headers["Location"] == "/"  # already in
    visitor.post("/accounts/logout/")
    for path in (back, "", "?state=unknown&code=1", "?error=access_denied&state=unknown"):
        lost = visitor.http.get(urljoin("/accounts/entra/login/callback/", path))
        assert (lost.status_code, stale in lost.text) == (400, True), path


def test_a_deactivated_account_stays_out(visitor: Visitor, entra: Site):
    visitor.sign_in()
    write(entra, "update conversations_user set is_active = 0 where id = ?", visitor.account.id)
    answer = visitor.sign_in()
    assert "Account deactivated" in visitor.http.get(answer.headers["Location"]).text
    assert not visitor.is_signed_in


def test_the_log_names_what_happened_and_holds_nothing_secret(visitor: Visitor, entra: Site, tenant: Tenant):
    printed = len(entra.lines)
    tenant.answer = lambda: web.json_response(
        {"error": "invalid_client", "error_description": f"AADSTS7000222: {SECRET} has expired"}, status=401
    )
    visitor.sign_in()
    line = entra.await_line("Misconfigured (invalid_client AADSTS7000222)", printed)
    assert json.loads(line)["level"] == "error"
    tenant.answer = None
    visitor.sign_in()
    log = "".join(entra.lines)
    assert "Traceback" not in log
    for secret in (SECRET, *tenant.handed_out, *(form["code_verifier"] for form in tenant.redeemed)):
        assert secret not in log
