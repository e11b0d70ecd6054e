"""The provider for `OIDC_ISSUER`. allauth finds it by this module's name."""

import time
from typing import Any, ClassVar
from urllib.parse import urlsplit

from allauth.socialaccount.models import SocialAccount
from django.conf import settings

from conversations.accounts.sso import tokens
from conversations.accounts.sso.client import fetch_json
from conversations.accounts.sso.failures import Misconfigured, Untrusted
from conversations.accounts.sso.provider import SingleSignOnOAuth2Adapter, SingleSignOnProvider

ID = "oidc"
DISCOVERY_SECONDS = 300
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")

_discovered: tuple[float, dict[str, Any]] | None = None


def discover() -> dict[str, Any]:
    """Return the issuer's discovery document, at most `DISCOVERY_SECONDS` old. Raises `SignInFailed`."""
    global _discovered
    if _discovered and time.monotonic() - _discovered[0] < DISCOVERY_SECONDS:
        return _discovered[1]
    config = fetch_json("GET", f"{settings.OIDC_ISSUER.rstrip('/')}/.well-known/openid-configuration")
    if config.get("issuer") != settings.OIDC_ISSUER:
        raise Misconfigured("the discovery document names another issuer")
    for name in ENDPOINTS:
        if not _is_safe(config.get(name)):
            raise Misconfigured(f"no https address for {name}")
    _discovered = time.monotonic(), config
    return config


def _is_safe(url: object) -> bool:
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and str(parts.hostname) in settings.LOOPBACK)


class OIDCOAuth2Adapter(SingleSignOnOAuth2Adapter):
    algorithms: ClassVar = ["RS256", "PS256", "ES256"]  # all asymmetric: a client secret must not sign

    @property
    def openid_config(self) -> dict[str, Any]:
        return discover()

    @property
    def basic_auth(self) -> bool:
        # What the document leaves out has this default (OpenID Connect Discovery, section 3).
        methods = self.openid_config.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_post" not in methods

    def to_store(self, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        wanted = {"name", "preferred_username", settings.OIDC_ROLES_CLAIM} - {""}
        if not wanted <= claims.keys() and access_token and _is_safe(self.openid_config.get("userinfo_endpoint")):
            claims = self._userinfo(access_token, claims["sub"]) | claims
        roles = settings.OIDC_ROLES_CLAIM
        return {
            "iss": claims["iss"],
            "sub": tokens.identifier(claims, "sub"),
            "name": tokens.printable(claims.get("name")),
            "preferred_username": tokens.printable(claims.get("preferred_username")),
            "roles": tokens.roles(claims.get(roles)) if roles else None,
        }

    def _userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        """Return the claims that some providers leave out of ID tokens."""
        headers = {"Authorization": f"Bearer {access_token}"}
        claims = fetch_json("GET", self.openid_config["userinfo_endpoint"], headers=headers)
        if claims.get("sub") != subject:
            raise Untrusted("user information about another person")
        return claims


class OIDCProvider(SingleSignOnProvider):
    id = ID
    name = "OpenID Connect"  # replaced by OIDC_NAME
    oauth2_adapter_class = OIDCOAuth2Adapter

    def extract_uid(self, data: dict[str, Any]) -> str:
        # With the issuer: another one may give the same subject to somebody else.
        uid = f"{data['iss']} {data['sub']}"
        if len(uid) > SocialAccount._meta.get_field("uid").max_length:
            raise Untrusted("the subject is too long")
        return uid


provider_classes = [OIDCProvider]
